import { setMaxListeners } from 'node:events';
import type { ServiceError } from '@grpc/grpc-js';
import { toError } from '../common/errors.ts';
import type { CallEnd, CallFailure } from './call-failure.ts';
import { grpcCodes } from './grpc-code.ts';

interface Cancellable {
  cancel(): void;
}

/**
 * One call on its way. Remembers why this side gave it up, which the library would report as a bare CANCELLED.
 *
 * Owns: the listener on the caller's signal, and its guard timer.
 */
export class OpenCall {
  readonly #rpc: string;
  readonly #onEnd: ((end: CallEnd) => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #startedAt = performance.now();
  readonly #onAbort = (): void => this.#abort();
  #guard: NodeJS.Timeout | undefined;
  #call: Cancellable | undefined;
  #failure: CallFailure | undefined;

  constructor(rpc: string, signal: AbortSignal | undefined, onEnd?: (end: CallEnd) => void) {
    this.#rpc = rpc;
    this.#signal = signal;
    this.#onEnd = onEnd;
  }

  /** @throws Error when it was given up already, as by the caller's signal: {@link fail} says why */
  start(): void {
    if (this.#signal !== undefined) {
      // Any number of calls may share a signal, and each takes its listener away; Node would warn of a leak at 11.
      setMaxListeners(0, this.#signal);
      this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    if (this.#signal?.aborted === true) this.#abort();
    if (this.#failure !== undefined) throw new Error(this.#failure.description);
  }

  attach(call: Cancellable): void {
    this.#call = call;
  }

  /** Calls `check` once, `ms` from now, unless the call has ended. */
  guard(ms: number, check: () => void): void {
    this.#guard = setTimeout(check, ms).unref();
  }

  /** Ends the call; it fails with Canceled or Unavailable and `description`. Only the first reason counts. */
  giveUp(code: 'Canceled' | 'Unavailable', description: string, cause?: unknown): void {
    const aborted = code === 'Canceled';
    this.#failure ??= { grpcCode: grpcCodes[code], description, rpc: this.#rpc, cause, aborted };
    this.#call?.cancel();
  }

  /** What the call's caller is told when the library throws `thrown`. */
  fail(thrown: unknown): CallFailure {
    this.#failure ??= this.#read(toError(thrown));
    return this.#failure;
  }

  /** The call has ended, one way or the other. */
  release(): void {
    clearTimeout(this.#guard);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#call?.cancel();
    this.#onEnd?.({ rpc: this.#rpc, startedAt: this.#startedAt, failure: this.#failure });
  }

  #abort(): void {
    const reason: unknown = this.#signal?.reason;
    this.giveUp('Canceled', `the caller gave up: ${toError(reason).message}`, reason);
  }

  #read(error: Error): CallFailure {
    const context = { rpc: this.#rpc, cause: error, aborted: false };
    if (isServiceError(error)) {
      return { grpcCode: error.code, description: error.details.replace(EMPTY_NOTE, ''), ...context };
    }
    // It was never sent: a value does not fit its field, or the timeout is no number.
    return { grpcCode: grpcCodes.InvalidArgument, description: error.message, ...context };
  }
}

/** Node's errors and ours have a `code` too, but theirs are words. */
function isServiceError(error: Error): error is ServiceError {
  return 'code' in error && typeof error.code === 'number' && 'details' in error;
}

/** The library ends a failure to connect with a note that is empty for sockets. */
const EMPTY_NOTE = /\.? Resolution note: $/;
