import { ExecPathError, type Hop } from '../common/errors.ts';
import { explainDialError } from './dial-error.ts';
import { raceAbort } from './race-abort.ts';

export interface CallLimitOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
  readonly hop: Hop;
}

/** One deadline and the caller's signal over everything that a call does. Owns: the timer, until `end`. */
export class CallLimit {
  readonly signal: AbortSignal;
  readonly #control = new AbortController();
  readonly #call: string;
  readonly #options: CallLimitOptions;
  #leftMs: number;
  #startedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param call `GET /api/v1/pods`, for errors */
  constructor(call: string, options: CallLimitOptions) {
    this.#call = call;
    this.#options = options;
    this.#leftMs = options.timeoutMs;
    this.signal = this.#control.signal;
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal?.aborted === true) this.#onAbort();
    this.#startClock();
  }

  /** Waits for `work` with the clock stopped: for credentials, whose plugin has a deadline of its own. */
  async untimed<T>(work: Promise<T>): Promise<T> {
    this.stopClock();
    try {
      return await raceAbort(work, this.signal);
    } finally {
      this.#startClock();
    }
  }

  /** For an answer that has begun and may take as long as it likes; the caller's signal stays in force. */
  stopClock(): void {
    clearTimeout(this.#timer);
    this.#leftMs -= Date.now() - this.#startedAt;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  /** What to throw for `thrown`: our own reason when we ended the call, else a lost connection. */
  errorOf(thrown: unknown): ExecPathError {
    const cause: unknown = this.signal.aborted ? this.signal.reason : thrown;
    if (cause instanceof ExecPathError) return cause;
    const { hop } = this.#options;
    const message = `${this.#call}: the connection was lost: ${explainDialError(cause)}`;
    return new ExecPathError('ERR_CONNECTION_LOST', message, { cause, hop });
  }

  #startClock(): void {
    this.#startedAt = Date.now();
    this.#timer = setTimeout(() => {
      const message = `${this.#call} took longer than ${this.#options.timeoutMs} ms`;
      this.#control.abort(new ExecPathError('ERR_API_TIMEOUT', message, { hop: this.#options.hop }));
    }, this.#leftMs).unref();
  }

  readonly #onAbort = (): void => {
    const { signal, hop } = this.#options;
    const message = `the caller gave up ${this.#call}`;
    this.#control.abort(new ExecPathError('ERR_ABORTED', message, { cause: signal?.reason, hop }));
  };
}
