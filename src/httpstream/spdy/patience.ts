/**
 * Waits for some work as long as it moves.
 *
 * Owns: its timer, until the wait is over.
 */
export class Patience {
  readonly #stallMs: number;
  #timer: NodeJS.Timeout | undefined;

  /** @param stallMs longest time without progress */
  constructor(stallMs: number) {
    this.#stallMs = stallMs;
  }

  /** The work has moved. */
  progress(): void {
    this.#timer?.refresh();
  }

  /** @returns false when the work stood still for too long */
  wait(work: Promise<void>): Promise<boolean> {
    return new Promise((resolve) => {
      const over = (finished: boolean): void => {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        resolve(finished);
      };
      this.#timer = setTimeout(() => over(false), this.#stallMs).unref();
      void work.then(() => over(true));
    });
  }
}
