import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { exec } from '../../../src/client/index.ts';
import { CONTAINER, podNames } from './chain-pods.ts';
import { type Endpoint, transportTo } from './endpoint.ts';

/** Lines of the long output; 14 MB, or 16 MB on a terminal. */
export const LONG_OUTPUT_LINES = 2_000_000;

/** All ways in which the long output is asked for. */
export const outputWays = (['websocket', 'spdy'] as const).flatMap((transport) =>
  [false, true].flatMap((tty) => (['fast', 'slow'] as const).map((reader) => ({ transport, tty, reader }))),
);
export type OutputWay = (typeof outputWays)[number];

/** A slow reader takes this much … */
const SLOW_BYTES = 512 * 1024;
/** … then nothing for so long, in ms. */
const SLOW_PAUSE_MS = 5;

/** Runs `seq 1 2000000` by `apiserver`. @returns what came of it, as {@link expectedOutput} says it */
export async function longOutput(way: OutputWay, apiserver: Endpoint): Promise<string> {
  const { transport, tty, reader } = way;
  const session = await exec({
    api: transportTo(apiserver),
    pod: podNames.passThrough,
    container: CONTAINER,
    command: ['sh', '-c', `seq 1 ${LONG_OUTPUT_LINES}; exit 7`],
    transport,
    tty,
  });
  session.stderr?.resume();
  const hash = createHash('sha256');
  let bytes = 0;
  let unpaused = 0;
  const stdout = session.stdout as Readable;
  stdout.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
    unpaused += chunk.length;
    if (reader === 'fast' || unpaused < SLOW_BYTES) return;
    unpaused = 0;
    stdout.pause();
    setTimeout(() => stdout.resume(), SLOW_PAUSE_MS);
  });
  const outcome = await session.completed;
  await session.closed;
  return `${outcome.kind} ${outcome.code}, ${bytes} bytes, sha256 ${hash.digest('hex')}`;
}

/** What {@link longOutput} must say. */
export function expectedOutput({ tty }: OutputWay): string {
  const hash = createHash('sha256');
  const end = tty ? '\r\n' : '\n';
  let bytes = 0;
  for (let line = 1; line <= LONG_OUTPUT_LINES; line += 10_000) {
    let block = '';
    for (let next = line; next < line + 10_000; next += 1) block += `${next}${end}`;
    hash.update(block);
    bytes += block.length;
  }
  return `exited 7, ${bytes} bytes, sha256 ${hash.digest('hex')}`;
}
