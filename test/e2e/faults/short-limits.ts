import type { HopLimits } from '../../../src/httpstream/index.ts';

/**
 * The named deadlines of every hop and of the client, short enough for a test to wait for them. Their defaults are 5 s
 * for pings, 60 s for silence, 30 s for heads, upgrades and streams, 10 s for the linger, 4 h for idleness.
 */
export const shortLimits = {
  headersTimeoutMs: 10_000,
  upgradeTimeoutMs: 10_000,
  streamTimeoutMs: 10_000,
  pingIntervalMs: 500,
  keepaliveTimeoutMs: 4_000,
  idleTimeoutMs: 12_000,
  lingerMs: 500,
} as const satisfies Required<HopLimits>;

/** From hang-up to kill, in ms. */
export const SHORT_GRACE_MS = 400;

/**
 * Every deadline of the path one after the other, and CLOSE_LINGER_MS, which has no option. Whatever has not happened after
 * that never will; twice the sum, for a machine that does other things meanwhile.
 */
export const SETTLE_MS = 2 * (10_000 + 10_000 + 10_000 + 4_000 + 12_000 + 500 + 10_000);
