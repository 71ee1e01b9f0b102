import { ExecPathError } from '../common/errors.ts';
import { SpdyStream } from '../httpstream/index.ts';
import type { StreamSet } from './stream-set.ts';

/**
 * Is output missing although the command's exit code arrived? Asked when stdout and stderr have ended.
 *
 * Over SPDY a Status may overtake output, and a lost connection ends a stream as a FIN does. A reset is the ordinary end of
 * a stream with some servers, and so is GOAWAY. WebSocket messages are in order: a Status has all output before it.
 *
 * @returns ERR_CONNECTION_LOST when nothing but the loss of the connection ended an output
 */
export async function cutOutput(
  { connection, streams }: StreamSet,
  exitCode: number,
): Promise<ExecPathError | undefined> {
  const isOpenEnded = [streams.stdout, streams.stderr].some(
    (stream) => stream instanceof SpdyStream && !stream.finByPeer && !stream.resetByPeer,
  );
  if (!isOpenEnded) return undefined;
  // An output without an end of its own ended with the connection, so this does not wait.
  const reason = await connection.closed;
  if (reason.kind === 'clean') return undefined;
  const message = `the command exited with code ${exitCode}, but its output was cut short: ${reason.error.message}`;
  return new ExecPathError('ERR_CONNECTION_LOST', message, { cause: reason.error });
}
