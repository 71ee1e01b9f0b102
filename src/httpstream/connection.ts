import type { ExecPathError } from '../common/errors.ts';

/**
 * How a connection ended.
 *
 * `clean`: the protocol's goodbye was said (SPDY `GOAWAY`, WebSocket close 1000) by us or by the peer.
 * `lost`: the bytes just stopped, a rule was broken or a deadline passed; `error` says which.
 */
export type CloseReason =
  | { readonly kind: 'clean'; readonly by: 'local' | 'remote' }
  | { readonly kind: 'lost'; readonly error: ExecPathError };

/**
 * One upgraded connection that carries several byte streams: a SPDY session or a WebSocket with channels.
 *
 * Owns: the socket and every stream on it.
 */
export interface Connection extends AsyncDisposable {
  /** Settles once, never rejects. */
  readonly closed: Promise<CloseReason>;
  /** Graceful: what was written is flushed, the goodbye is said, and the socket is gone when this resolves. Twice is once. */
  close(): Promise<void>;
  /** Abrupt: streams fail with `cause`, the socket is gone at once. Twice is once. */
  destroy(cause?: Error): void;
}

/** Bytes that one stream holds for a slow reader before it stops the socket. */
export const STREAM_BUFFER_BYTES = 64 * 1024;

/** How long a graceful close waits for the peer to take what was sent and to close its side, in ms. */
export const CLOSE_LINGER_MS = 10_000;

/** Deadlines of a connection; each is off when 0. The defaults are the transport's. */
export interface ConnectionLimits {
  readonly pingIntervalMs?: number;
  /** How long a peer that should answer may be silent. */
  readonly keepaliveTimeoutMs?: number;
  /** How long nothing may be typed or read. Pings do not count. */
  readonly idleTimeoutMs?: number;
}
