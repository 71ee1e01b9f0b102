import { ExecPathError } from '../../common/errors.ts';

/** Browsers cannot set `Authorization` on a WebSocket: they offer the token as a subprotocol of this prefix. */
export const BEARER_PROTOCOL_PREFIX = 'base64url.bearer.authorization.k8s.io.';

export interface BearerOffer {
  /** The decoded token, or undefined when none was offered. */
  readonly token: string | undefined;
  /** The other protocols, in order: what may be selected and forwarded. */
  readonly rest: readonly string[];
}

/**
 * Takes a bearer token out of the subprotocols that a WebSocket client offers.
 *
 * Only for WebSocket upgrades. When authentication succeeds, send `rest` on; when it fails, refuse the request.
 *
 * @param offered names from all `Sec-WebSocket-Protocol` lines, see `splitNames`
 * @throws ExecPathError ERR_UNAUTHORIZED two tokens, a token alone, or one that is not unpadded base64url of UTF-8; the
 * message never quotes the token
 * @see wire.md 3.8; `kubernetes/apiserver` authentication/request/websocket/protocol.go
 */
export function takeBearerToken(offered: readonly string[]): BearerOffer {
  const isToken = (name: string): boolean => name.startsWith(BEARER_PROTOCOL_PREFIX);
  const rest = offered.filter((name) => !isToken(name));
  const [first, second] = offered.filter(isToken);
  if (first === undefined) return { token: undefined, rest };
  if (second !== undefined) throw refused('more than one bearer token is offered as a subprotocol');
  if (rest.length === 0) throw refused('a bearer token as a subprotocol needs another subprotocol beside it');
  return { token: decodeToken(first.slice(BEARER_PROTOCOL_PREFIX.length)), rest };
}

/** The subprotocol that carries `token`, for clients. */
export function bearerProtocol(token: string): string {
  return BEARER_PROTOCOL_PREFIX + Buffer.from(token).toString('base64url');
}

function decodeToken(encoded: string): string {
  // A last group of one character would be 6 bits of a byte.
  if (!/^[A-Za-z0-9_-]+$/.test(encoded) || encoded.length % 4 === 1) {
    throw refused('the bearer token offered as a subprotocol is not base64url without padding');
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(encoded, 'base64url'));
  } catch (cause) {
    throw refused('the bearer token offered as a subprotocol is not UTF-8', cause);
  }
}

function refused(message: string, cause?: unknown): ExecPathError {
  return new ExecPathError('ERR_UNAUTHORIZED', message, { cause });
}
