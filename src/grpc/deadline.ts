import { ExecPathError } from '../common/errors.ts';

/** Timers hold at most 2^31-1 ms; a gRPC library whose timer overflows fails the call at once. */
const MAX_TIMEOUT_MS = 24 * 24 * 3_600_000;

/**
 * The moment, in ms since the epoch, at which a call that begins now has taken `timeoutMs`; Infinity for never. More
 * than 24 days become 24 days.
 *
 * @throws ExecPathError ERR_BAD_REQUEST
 */
export function deadlineAfter(timeoutMs: number): number {
  if (!(timeoutMs >= 0)) {
    throw new ExecPathError('ERR_BAD_REQUEST', `a call's timeout is 0 ms or more, not ${timeoutMs}`);
  }
  return Date.now() + (timeoutMs === Number.POSITIVE_INFINITY ? timeoutMs : Math.min(timeoutMs, MAX_TIMEOUT_MS));
}
