import type { LocalOutput } from './io.ts';

/** Elsewhere than on a terminal a line comes no more often than this, in ms. */
const LINE_EVERY_MS = 5_000;

/** One line of what is being done, drawn anew at each change; elsewhere than on a terminal a line now and then. */
export class ProgressLine {
  readonly #out: LocalOutput;
  #isDrawn = false;
  #saidAt = performance.now();

  constructor(out: LocalOutput) {
    this.#out = out;
  }

  show(text: string): void {
    if (this.#out.isTTY === true) {
      this.#out.write(`\r\u001b[K${text.slice(0, Math.max(20, (this.#out.columns ?? 80) - 1))}`);
      this.#isDrawn = true;
    } else if (performance.now() - this.#saidAt >= LINE_EVERY_MS) {
      this.#saidAt = performance.now();
      this.#out.write(`${text}\n`);
    }
  }

  /** The line is as it was before. Twice is once. */
  clear(): void {
    if (this.#isDrawn) this.#out.write('\r\u001b[K');
    this.#isDrawn = false;
  }
}
