import type { ConnectionLimits } from '../connection.ts';
import type { IncomingStream } from './incoming.ts';

export interface SpdySessionOptions extends ConnectionLimits {
  /** Who opened the connection. Clients use odd ids; a server writes nothing before the client's first byte. */
  readonly role: 'client' | 'server';
  /** Bytes that came with the upgrade; they are processed before the socket's own. */
  readonly head?: Uint8Array;
  /** Called for each stream that the peer opens; must not throw. Without it they are rejected. */
  readonly onStream?: (incoming: IncomingStream) => void;
  /** Time between our pings in ms, 0 for none. Default 5 s for clients, 0 for servers. */
  readonly pingIntervalMs?: number;
  /** Longest silence of a peer that owes answers, in ms, 0 for no limit. Default 60 s. See `Keepalive`. */
  readonly keepaliveTimeoutMs?: number;
  /** Longest time without DATA in either direction, in ms. Pings do not count. Default 0: no limit. */
  readonly idleTimeoutMs?: number;
  /** Longest wait for SYN_REPLY, for a decision on an incoming stream and for the echo of `ping()`. Default 30 s. */
  readonly streamTimeoutMs?: number;
  /** Called for each DATA frame, in and out. */
  readonly onActivity?: () => void;
}
