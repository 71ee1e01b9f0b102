import { toError } from '../common/errors.ts';

/** How often a long-lived process looks whether its certificates are due, in ms. */
export const RENEWAL_CHECK_MS = 12 * 3_600_000;

export interface RenewalOptions {
  /** Default {@link RENEWAL_CHECK_MS}. */
  readonly everyMs?: number;
  /** Told of a failure; the next look comes all the same. */
  readonly onError?: (error: Error) => void;
}

/**
 * Repeats `renew` (loadOrIssue and its like, which do nothing until something is due) for as long as it is not closed.
 * Owns: a timer that keeps no process alive.
 */
export function renewRegularly(renew: () => Promise<unknown>, options: RenewalOptions = {}): Disposable {
  const timer = setInterval(() => {
    renew().catch((cause: unknown) => options.onError?.(toError(cause)));
  }, options.everyMs ?? RENEWAL_CHECK_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
