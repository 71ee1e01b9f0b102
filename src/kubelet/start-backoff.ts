/** First wait after something could not be started, in ms; doubles with each failure in a row. */
const FIRST_WAIT_MS = 1_000;

const MAX_WAIT_MS = 300_000;

interface Failure<Reason> {
  readonly reason: Reason;
  readonly waitMs: number;
  readonly retryAt: number;
}

/**
 * How long it is waited before a sandbox or container that could not be started is tried again: a registry or a runtime
 * that says no is not to be asked each second.
 *
 * Bounded by the containers that fail now: a success and the end of the pod forget.
 */
export class StartBackoff<Reason> {
  readonly #failures = new Map<string, Failure<Reason>>();

  /** @returns the reason of the last failure while it is still to be waited, else undefined */
  waiting(key: string, now: number): Reason | undefined {
    const failure = this.#failures.get(key);
    return failure !== undefined && now < failure.retryAt ? failure.reason : undefined;
  }

  /** @returns the reason of the last failure, if nothing was started since */
  lastFailure(key: string): Reason | undefined {
    return this.#failures.get(key)?.reason;
  }

  failed(key: string, reason: Reason, now: number): void {
    const before = this.#failures.get(key);
    const waitMs = before === undefined ? FIRST_WAIT_MS : Math.min(before.waitMs * 2, MAX_WAIT_MS);
    this.#failures.set(key, { reason, waitMs, retryAt: now + waitMs });
  }

  succeeded(key: string): void {
    this.#failures.delete(key);
  }

  /** @param prefix of the keys to forget */
  forget(prefix: string): void {
    for (const key of this.#failures.keys()) if (key.startsWith(prefix)) this.#failures.delete(key);
  }
}
