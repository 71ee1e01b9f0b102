import { ExecPathError, type Hop, toError } from '../common/errors.ts';

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
  #timer: NodeJS.Timeout | undefined;

  /** @param call `GET /api/v1/pods`, for errors */
  constructor(call: string, options: CallLimitOptions) {
    this.#call = call;
    this.#options = options;
    this.signal = this.#control.signal;
    const { signal, timeoutMs, hop } = options;
    this.#timer = setTimeout(() => {
      this.#control.abort(new ExecPathError('ERR_API_TIMEOUT', `${call} took longer than ${timeoutMs} ms`, { hop }));
    }, timeoutMs);
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (signal?.aborted === true) this.#onAbort();
  }

  /** The answer has begun and may take as long as it likes; the caller's signal stays in force. */
  liftDeadline(): void {
    clearTimeout(this.#timer);
  }

  end(): void {
    this.liftDeadline();
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  /** What to throw for `thrown`: our own reason when we ended the call, else a lost connection. */
  errorOf(thrown: unknown): ExecPathError {
    const cause: unknown = this.signal.aborted ? this.signal.reason : thrown;
    if (cause instanceof ExecPathError) return cause;
    const { hop } = this.#options;
    const message = `${this.#call}: the connection was lost: ${toError(cause).message}`;
    return new ExecPathError('ERR_CONNECTION_LOST', message, { cause, hop });
  }

  readonly #onAbort = (): void => {
    const { signal, hop } = this.#options;
    const message = `the caller gave up ${this.#call}`;
    this.#control.abort(new ExecPathError('ERR_ABORTED', message, { cause: signal?.reason, hop }));
  };
}
