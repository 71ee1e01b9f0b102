/**
 * Fires once when nothing was noted for a while.
 *
 * Noting is one store: the timer is not moved but looks, when it fires, how much is left. It is unref'd: it guards.
 *
 * Owns: its timer, until `stop()` or until it fired.
 */
export class Deadline {
  readonly #ms: number;
  readonly #expired: () => void;
  #since = 0;
  #held = false;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  /** @param ms 0 never fires */
  constructor(ms: number, expired: () => void) {
    this.#ms = ms;
    this.#expired = expired;
  }

  /** From now on. Again is the same as `touch()`. */
  start(): void {
    this.touch();
    if (this.#ms > 0 && this.#timer === undefined) this.#arm(this.#ms);
  }

  /** Something happened: the time counts anew. */
  touch(): void {
    this.#since = performance.now();
  }

  /** While held it does not fire; a release counts anew. */
  hold(held: boolean): void {
    if (this.#held && !held) this.touch();
    this.#held = held;
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = undefined;
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    const left = this.#left();
    if (left > 0) {
      // A timer of less than 1 ms would fire at once, over and over.
      this.#arm(Math.max(1, Math.ceil(left)));
      return;
    }
    // A process that was busy for long finds its timers due before it has read its sockets: let it read them first.
    this.#immediate = setImmediate(() => {
      if (this.#left() > 0) {
        this.#look();
        return;
      }
      this.#timer = undefined;
      this.#expired();
    });
  }

  #left(): number {
    return this.#held ? this.#ms : this.#since + this.#ms - performance.now();
  }
}
