import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isSessionId } from '../common/session-id.ts';

/** The id of a request at every hop: the caller's `Audit-ID` when it is a sane one, else a new UUID. */
export function auditIdOf({ headers }: IncomingMessage): string {
  const given = headers['audit-id'];
  return isSessionId(given) ? given : randomUUID();
}
