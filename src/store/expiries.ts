/** How often keys with a time to live are looked at, in ms: they outlive it by at most this. */
export const EXPIRY_SWEEP_MS = 10_000;

/**
 * When keys are to disappear.
 *
 * Owns: the timer that looks, while there are any.
 */
export class Expiries {
  readonly #times = new Map<string, number>();
  readonly #onExpired: (key: string) => void;
  #sweep: NodeJS.Timeout | undefined;

  constructor(onExpired: (key: string) => void) {
    this.#onExpired = onExpired;
  }

  /** @param at ms since the epoch; undefined: never */
  set(key: string, at: number | undefined): void {
    if (at === undefined) this.#times.delete(key);
    else this.#times.set(key, at);
    if (this.#times.size === 0) this.close();
    else this.#sweep ??= setInterval(() => this.#look(), EXPIRY_SWEEP_MS).unref();
  }

  /** Whether `key` was to disappear by now. */
  isOver(key: string): boolean {
    const at = this.#times.get(key);
    return at !== undefined && at <= Date.now();
  }

  close(): void {
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #look(): void {
    for (const key of this.#times.keys()) if (this.isOver(key)) this.#onExpired(key);
  }
}
