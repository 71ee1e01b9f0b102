import { paintFor } from './colours.ts';
import { Interruption } from './interruption.ts';
import type { Io } from './io.ts';

/** A hop that listens. */
export interface ServedHop {
  /** For stdout; the one with `ready` and the hop's address is the last word. */
  readonly lines: readonly string[];
  close(): Promise<void>;
}

/** Runs a hop until the first signal, then stops it; a second signal ends the process at once. @returns 0 */
export async function serveUntilStopped(io: Io, start: (signal: AbortSignal) => Promise<ServedHop>): Promise<number> {
  using interruption = new Interruption(io);
  const hop = await start(interruption.signal).catch((thrown: unknown) => {
    if (interruption.signal.aborted) return undefined;
    throw thrown;
  });
  if (hop === undefined) return 0;
  try {
    const paint = paintFor(io.out, io);
    for (const line of hop.lines) io.out.write(`${line.replace(/^ready\b/, paint('green', 'ready'))}\n`);
    await interruption.wait();
  } finally {
    await hop.close();
  }
  return 0;
}
