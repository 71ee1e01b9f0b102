import type { ConnectionLimits } from './connection.ts';

/**
 * Deadlines of a session at a hop that passes it on.
 *
 * A hop that relays bytes uses `upgradeTimeoutMs` and `lingerMs` alone: it sees no pings, so whether the session lives is
 * for its two ends to find out. A hop that translates is such an end itself, and uses the others too.
 */
export interface HopLimits extends ConnectionLimits {
  /** How long a client may take to send the head of its request. Default HEADERS_TIMEOUT_MS. */
  readonly headersTimeoutMs?: number;
  /** How long the next hop may take to answer the upgrade. Default UPGRADE_ANSWER_TIMEOUT_MS. */
  readonly upgradeTimeoutMs?: number;
  /** How long the other side may still take what is on its way, after one has ended. Default RELAY_LINGER_MS. */
  readonly lingerMs?: number;
  /** How long the next hop may take to confirm a stream; 30 s. */
  readonly streamTimeoutMs?: number;
}
