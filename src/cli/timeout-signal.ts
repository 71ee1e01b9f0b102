/** The longest that a timer of Node can be, in ms; about 25 days. A longer one would be over at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Aborted when so much time is over, or after {@link MAX_TIMER_MS}. */
export function timeoutSignal(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.min(Math.ceil(ms), MAX_TIMER_MS));
}
