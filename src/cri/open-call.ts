import { setMaxListeners } from 'node:events';
import type { ServiceError } from '@grpc/grpc-js';
import { toError } from '../common/errors.ts';
import { RuntimeCallError } from './call-error.ts';
import { publishCall } from './call-trace.ts';
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
  readonly #endpoint: string;
  readonly #signal: AbortSignal | undefined;
  readonly #startedAt = performance.now();
  readonly #onAbort = (): void => this.#abort();
  #guard: NodeJS.Timeout | undefined;
  #call: Cancellable | undefined;
  #failure: RuntimeCallError | undefined;

  constructor(endpoint: string, rpc: string, signal: AbortSignal | undefined) {
    this.#endpoint = endpoint;
    this.#rpc = rpc;
    this.#signal = signal;
  }

  /** @throws RuntimeCallError Canceled when the caller's signal has fired already */
  start(): void {
    if (this.#signal !== undefined) {
      // Any number of calls may share a signal, and each takes its listener away; Node would warn of a leak at 11.
      setMaxListeners(0, this.#signal);
      this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    if (this.#signal?.aborted === true) this.#abort();
    if (this.#failure !== undefined) throw this.#failure;
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
    this.#failure ??= new RuntimeCallError(grpcCodes[code], description, { rpc: this.#rpc, cause, aborted });
    this.#call?.cancel();
  }

  /** What the call's caller is told when the library throws `thrown`. */
  fail(thrown: unknown): RuntimeCallError {
    this.#failure ??= this.#read(toError(thrown));
    return this.#failure;
  }

  /** The call has ended, one way or the other. */
  release(): void {
    clearTimeout(this.#guard);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#call?.cancel();
    publishCall({ side: 'client', endpoint: this.#endpoint, rpc: this.#rpc }, this.#startedAt, this.#failure);
  }

  #abort(): void {
    const reason: unknown = this.#signal?.reason;
    this.giveUp('Canceled', `the caller gave up: ${toError(reason).message}`, reason);
  }

  #read(error: Error): RuntimeCallError {
    if (error instanceof RuntimeCallError) return error;
    const context = { rpc: this.#rpc, cause: error };
    if (isServiceError(error)) return new RuntimeCallError(error.code, error.details.replace(EMPTY_NOTE, ''), context);
    // It was never sent: a value does not fit its field, or the timeout is no number.
    return new RuntimeCallError(grpcCodes.InvalidArgument, error.message, context);
  }
}

/** Node's errors and ours have a `code` too, but theirs are words. */
function isServiceError(error: Error): error is ServiceError {
  return 'code' in error && typeof error.code === 'number' && 'details' in error;
}

/** The library ends a failure to connect with a note that is empty for sockets. */
const EMPTY_NOTE = /\.? Resolution note: $/;
