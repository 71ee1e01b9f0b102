import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** What a caller may bring as its own id: it goes into headers and logs as it is. */
const saneId = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** The id of a request at every hop: the caller's `Audit-ID` when it is a sane one, else a new UUID. */
export function auditIdOf({ headers }: IncomingMessage): string {
  const given = headers['audit-id'];
  return typeof given === 'string' && saneId.test(given) ? given : randomUUID();
}
