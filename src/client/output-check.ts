import { ExecPathError } from '../common/errors.ts';
import { failed, type Outcome } from '../common/outcome.ts';
import { SpdyStream } from '../httpstream/index.ts';
import type { StreamSet } from '../remotecommand/index.ts';

/**
 * An exit code stands only when the output before it is whole.
 *
 * Over SPDY the Status may overtake output, and a lost connection ends a stream as a FIN does. So each output must have
 * had its FIN or its reset (the ordinary end with some servers), or the connection its goodbye. Over WebSocket messages
 * are in order: a Status says that everything came before it.
 *
 * @see docs/adr/0006-wait-for-the-status.md
 */
export async function checkOutput(set: StreamSet, outcome: Outcome): Promise<Outcome> {
  if (outcome.kind === 'failed' || set.transport !== 'spdy') return outcome;
  const outputs = [set.streams.stdout, set.streams.stderr];
  const isOpenEnded = outputs.some(
    (stream) => stream instanceof SpdyStream && !stream.finByPeer && !stream.resetByPeer,
  );
  if (!isOpenEnded) return outcome;
  // Its end came with the end of the connection, so this does not wait.
  const reason = await set.connection.closed;
  if (reason.kind === 'clean') return outcome;
  const message = `the command exited with code ${outcome.code}, but its output was cut short: ${reason.error.message}`;
  return failed(new ExecPathError('ERR_CONNECTION_LOST', message, { cause: reason.error }));
}
