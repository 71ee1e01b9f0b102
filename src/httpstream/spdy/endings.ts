import { ExecPathError, toError } from '../../common/errors.ts';
import type { CloseReason } from '../connection.ts';
import { goAwayStatus } from './frame.ts';

/** The connection ended without its goodbye; `what` completes the sentence "the connection …". */
export function connectionLost(what: string, cause?: Error): ExecPathError {
  return new ExecPathError('ERR_CONNECTION_LOST', `the connection ${what}`, { cause });
}

/** The peer stood still while the last bytes were on their way. */
export function tookNothing(): ExecPathError {
  const message = 'the peer did not take the end of what was sent to it before the connection closed';
  return new ExecPathError('ERR_CONNECTION_LOST', message);
}

/** What a GOAWAY of the peer makes of the connection. */
export function reasonOfGoAway(status: number): CloseReason {
  return status === goAwayStatus.OK
    ? { kind: 'clean', by: 'remote' }
    : { kind: 'lost', error: connectionLost(`was ended by the peer with GOAWAY status ${status}`) };
}

/** Whatever was thrown while a frame was processed. A stranger is a defect, of ours or of a listener's. */
export function frameFailure(thrown: unknown): ExecPathError {
  const cause = toError(thrown);
  return cause instanceof ExecPathError ? cause : new ExecPathError('ERR_INTERNAL', cause.message, { cause });
}
