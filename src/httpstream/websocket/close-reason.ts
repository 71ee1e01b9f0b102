import { ExecPathError, ProtocolError } from '../../common/errors.ts';
import type { CloseReason } from '../connection.ts';
import { closeCodes } from './frame.ts';

/** The ending of a connection that just stopped. */
export function lost(message: string, cause?: Error): CloseReason {
  return { kind: 'lost', error: new ExecPathError('ERR_CONNECTION_LOST', message, { cause }) };
}

/**
 * Whether a Close frame with `code`, received in `role`, is the protocol's goodbye.
 *
 * A client counts 1000 alone, as kubectl does. For a server a client that leaves with 1001 (a browser's tab) or without
 * a code (`close()` in most libraries) has said goodbye too.
 */
export function isGoodbye(code: number, role: 'client' | 'server'): boolean {
  if (code === closeCodes.normal) return true;
  return role === 'server' && (code === closeCodes.goingAway || code === closeCodes.noStatus);
}

/** The close code that tells the peer about a failure. */
export function closeCodeOf(error: ExecPathError): number {
  switch (error.code) {
    case 'ERR_MESSAGE_TOO_LONG':
      return closeCodes.tooBig;
    case 'ERR_INTERNAL':
      return closeCodes.internal;
    default:
      return error instanceof ProtocolError ? closeCodes.protocolError : closeCodes.goingAway;
  }
}
