import { UpgradeError } from '../common/errors.ts';

/** What carries the streams. `auto` is WebSocket, then SPDY where {@link mayFallBack} allows it. */
export type TransportPreference = 'auto' | 'websocket' | 'spdy';

/**
 * May a WebSocket that failed with `error` be followed by a try over SPDY?
 *
 * Yes after any HTTP answer that is not the handshake that was asked for: other status codes, a 101 without the right
 * headers, a 101 for another subprotocol. Never when no answer came: a dial or TLS error, a proxy's refusal, a lost
 * connection or an abort would fail again. After a good 101 the command may have run, so nothing is tried again.
 *
 * @see wire.md 5.3
 */
export function mayFallBack(error: unknown): boolean {
  return error instanceof UpgradeError && error.httpStatus > 0;
}
