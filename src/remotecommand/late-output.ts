import { ExecPathError } from '../common/errors.ts';
import type { StreamSet } from './stream-set.ts';

/** Default of `outputEndTimeoutMs`: how long a server may hold outputs open, and send nothing, behind its Status, in ms. */
export const OUTPUT_END_TIMEOUT_MS = 30_000;

/** Looks within one limit: each finds out whether the reader is behind. */
const LOOKS = 10;

/**
 * Guards the end of the outputs from the moment on when the error stream has ended: all output is on its way by then. A
 * reader who is behind may take all the time there is; a server that has nothing more to send and never says so may not.
 *
 * @param timeoutMs 0 for no limit
 * @returns ends the watch
 */
export function watchLateOutput(
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
