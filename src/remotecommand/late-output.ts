import { ExecPathError } from '../common/errors.ts';
import type { StreamSet } from './stream-set.ts';

/** Default of `outputEndTimeoutMs`: how long a server may hold outputs open, and send nothing, behind its Status, in ms. */
export const OUTPUT_END_TIMEOUT_MS = 30_000;

/** Looks within one limit: each finds out whether the reader is behind. */
const LOOKS = 10;

/**
 * Waits for the outputs from the moment on when the error stream has ended: all output is on its way by then. A reader who
 * is behind may take all the time there is; a server that has nothing more to send and never says so may not.
 *
 * @param ends one for each output of the set
 * @param timeoutMs 0 for no limit
 * @throws ExecPathError ERR_OUTPUT_OPEN, with which the connection was destroyed
 */
export async function allEnded(ends: readonly Promise<void>[], set: StreamSet, timeoutMs: number): Promise<void> {
  let late: ExecPathError | undefined;
  const unwatch = watchLateOutput(set, timeoutMs, (error) => {
    late = error;
    set.connection.destroy(error);
  });
  await Promise.all(ends);
  unwatch();
  if (late !== undefined) throw late;
}

/** @returns ends the watch */
function watchLateOutput(
  { streams }: StreamSet,
  timeoutMs: number,
  onLate: (error: ExecPathError) => void,
): () => void {
  if (timeoutMs === 0) return () => {};
  const outputs = { stdout: streams.stdout, stderr: streams.stderr };
  let waited = 0;
  const timer = setInterval(() => {
    waited = Object.values(outputs).some((stream) => (stream?.readableLength ?? 0) > 0) ? 0 : waited + 1;
    if (waited < LOOKS) return;
    clearInterval(timer);
    const open = Object.entries(outputs).flatMap(([name, stream]) => (stream?.readableEnded === false ? [name] : []));
    const message = `the server ended the session's error stream and then held ${open.join(' and ')} open for ${timeoutMs} ms without a byte`;
    onLate(new ExecPathError('ERR_OUTPUT_OPEN', message));
  }, timeoutMs / LOOKS);
  return () => clearInterval(timer);
}
