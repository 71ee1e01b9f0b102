import type { Socket } from 'node:net';
import { refuseUpgrade } from '../httpstream/index.ts';
import { apiStatusOf } from './api-error.ts';
import type { RequestTrace } from './request-trace.ts';

/** Answers an upgrade with the Status of `error` and the usual headers, and closes the connection. */
export function refuseUpgradeRequest(socket: Socket, error: unknown, { auditId }: RequestTrace): void {
  const status = apiStatusOf(error);
  refuseUpgrade(socket, status.code, status, [
    ['Audit-Id', auditId],
    ['Cache-Control', 'no-cache, private'],
    ['X-Content-Type-Options', 'nosniff'],
  ]);
}
