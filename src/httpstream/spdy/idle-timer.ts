/**
 * Fires once when nothing has happened for a while. Touching it costs a clock reading, so it can be done per frame.
 *
 * Owns: its timer, until it fires or `stop()`.
 */
export class IdleTimer {
  readonly #idleMs: number;
  readonly #onIdle: () => void;
  #touchedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;

  /** @param idleMs 0 never fires */
  constructor(idleMs: number, onIdle: () => void) {
    this.#idleMs = idleMs;
    this.#onIdle = onIdle;
    if (idleMs > 0) this.#arm(idleMs);
  }

  touch(): void {
    this.#touchedAt = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(() => {
      const leftMs = this.#touchedAt + this.#idleMs - performance.now();
      if (leftMs > 0) this.#arm(Math.ceil(leftMs));
      else this.#onIdle();
    }, delayMs).unref();
  }
}
