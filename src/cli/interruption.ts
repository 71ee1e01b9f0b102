import { constants } from 'node:os';
import type { Io } from './io.ts';

/** The signals by which people and supervisors end a program. */
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const satisfies readonly NodeJS.Signals[];

/**
 * The wish that a command ends: the first signal asks, the second ends the process at once.
 *
 * Owns: the handlers of the signals, until disposed of.
 */
export class Interruption implements Disposable {
  readonly #control = new AbortController();
  readonly #release: () => void;
  #exitCode: number | undefined;

  constructor(io: Io) {
    this.#release = io.onSignal(ENDING_SIGNALS, (name) => {
      const code = 128 + constants.signals[name];
      if (this.#exitCode !== undefined) io.forceExit(code);
      this.#exitCode = code;
      this.#control.abort(new Error(name));
    });
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.#control.signal;
  }

  /** 128 + the signal's number, as a shell says it; undefined while there was none. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** Resolves at the first signal. */
  async wait(): Promise<void> {
    if (this.signal.aborted) return;
    await new Promise((resolve) => this.signal.addEventListener('abort', resolve, { once: true }));
  }

  [Symbol.dispose](): void {
    this.#release();
  }
}
