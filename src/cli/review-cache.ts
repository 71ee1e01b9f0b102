/** Answers kept at once; the oldest goes first. */
export const MAX_REVIEWS = 1000;

interface Kept<T> {
  readonly answer: Promise<T>;
  /** Infinity while the answer is under way. */
  until: number;
}

/**
 * Answers of the apiserver about who somebody is and what they may do, kept for a while, so that a node serves the
 * people it knows while the apiserver is away. The same question asked twice at once goes out once; a failure is kept
 * for nobody.
 */
export class ReviewCache<T> {
  readonly #kept = new Map<string, Kept<T>>();
  readonly #keepMs: (answer: T) => number;
  readonly #now: () => number;

  /** @param keepMs how long an answer counts; 0 for not at all */
  constructor(keepMs: (answer: T) => number, now: () => number = Date.now) {
    this.#keepMs = keepMs;
    this.#now = now;
  }

  /** The answer to `question`, asked anew when none is kept. Rejects as `ask` does. */
  get(question: string, ask: () => Promise<T>): Promise<T> {
    const kept = this.#kept.get(question);
    if (kept !== undefined && this.#now() < kept.until) return kept.answer;
    const asked: Kept<T> = { answer: ask(), until: Infinity };
    this.#kept.delete(question);
    this.#kept.set(question, asked);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_REVIEWS && oldest !== undefined) this.#kept.delete(oldest);
    asked.answer.then(
      (answer) => {
        asked.until = this.#now() + this.#keepMs(answer);
      },
      () => {
        if (this.#kept.get(question) === asked) this.#kept.delete(question);
      },
    );
    return asked.answer;
  }
}
