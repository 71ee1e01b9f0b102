import type { IncomingMessage } from 'node:http';
import { ExecPathError } from '../common/errors.ts';

/**
 * Refuses an upgrade from a page of another site: a browser sends client certificates and cookies along whoever asks,
 * and its WebSockets know no CORS.
 *
 * Programs send no `Origin`, or the server's own. An allowed one matches `--cors-allowed-origins` from its beginning to
 * its end.
 *
 * @throws ExecPathError ERR_FORBIDDEN
 */
export function checkOrigin({ headers }: IncomingMessage, allowed: readonly RegExp[]): void {
  const { origin, host = '' } = headers;
  if (origin === undefined || origin === '') return;
  if (hostOf(origin) === host.toLowerCase()) return;
  if (allowed.some((pattern) => pattern.exec(origin)?.[0] === origin)) return;
  throw new ExecPathError(
    'ERR_FORBIDDEN',
    `a page of ${JSON.stringify(origin)} may not open sessions here: --cors-allowed-origins does not name it`,
  );
}

function hostOf(origin: string): string | undefined {
  try {
    return new URL(origin).host;
  } catch {
    return undefined;
  }
}
