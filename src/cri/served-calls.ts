import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import type { handleServerStreamingCall, handleUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { encodeMessage, grpcCodes } from '../grpc/index.ts';
import { grpcStatusOf, RuntimeCallError } from './call-error.ts';
import { publishCall } from './call-trace.ts';
import type { StreamHandler, UnaryHandler } from './handlers.ts';
import type { CriMessage, CriMethod } from './service.ts';

export type AnyUnaryHandler = UnaryHandler<DescMessage, DescMessage>;
export type AnyStreamHandler = StreamHandler<DescMessage, DescMessage>;

interface CancellableCall {
  on(event: 'cancelled', listener: () => void): unknown;
}

/**
 * The calls that a server is answering.
 *
 * Owns: one AbortController for each; whoever ends a call does it here.
 */
export class ServedCalls {
  readonly #unary = new Set<AbortController>();
  readonly #streams = new Set<AbortController>();

  /** The library's handler for a unary RPC. */
  unary(method: CriMethod, handler: AnyUnaryHandler): handleUnaryCall<CriMessage, Buffer> {
    return (call, callback) => {
      const answer = async (signal: AbortSignal): Promise<Buffer> =>
        encodeAnswer(method.output, await unlessAborted(handler(call.request, { signal }), signal));
      this.#run(this.#unary, method, call, answer).then(
        (bytes) => callback(null, bytes),
        (error: unknown) => callback(grpcStatusOf(error)),
      );
    };
  }

  /** The library's handler for an RPC that answers with a stream. */
  stream(method: CriMethod, handler: AnyStreamHandler): handleServerStreamingCall<CriMessage, Buffer> {
    return (call) => {
      const answer = (signal: AbortSignal): Promise<void> =>
        writeAll(call, method.output, handler(call.request, { signal }), signal);
      this.#run(this.#streams, method, call, answer).then(
        () => call.end(),
        (error: unknown) => call.emit('error', grpcStatusOf(error)),
      );
    };
  }

  /** Ends every stream with Unavailable; an endless one would hold up a graceful close for nothing. */
  endStreams(): void {
    abortAll(this.#streams);
  }

  /** Ends every call with Unavailable; handlers see their signal fire and nobody waits for them. */
  abort(): void {
    abortAll(this.#streams);
    abortAll(this.#unary);
  }

  async #run<Answer>(
    group: Set<AbortController>,
    method: CriMethod,
    call: CancellableCall,
    answer: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    const startedAt = performance.now();
    const controller = new AbortController();
    group.add(controller);
    call.on('cancelled', () => {
      controller.abort(new RuntimeCallError(grpcCodes.Canceled, 'the caller is gone or its deadline has passed'));
    });
    let failure: { grpcCode: number; description: string } | undefined;
    try {
      return await answer(controller.signal);
    } catch (error) {
      const { code, details } = grpcStatusOf(error);
      failure = { grpcCode: code, description: details };
      throw error;
    } finally {
      group.delete(controller);
      publishCall({ side: 'server', rpc: method.name }, startedAt, failure);
    }
  }
}

function abortAll(group: Iterable<AbortController>): void {
  for (const controller of group) {
    controller.abort(new RuntimeCallError(grpcCodes.Unavailable, 'the runtime is shutting down'));
  }
}

/** Encoded here and not by the library, which would not say which field is wrong. */
function encodeAnswer(output: DescMessage, answer: MessageInitShape<DescMessage>): Buffer {
  return encodeMessage(output, create(output, answer));
}

/** One message at a time: the next is made when the last has been handed to the socket. */
async function writeAll(
  call: ServerWritableStream<CriMessage, Buffer>,
  output: DescMessage,
  messages: AsyncIterable<MessageInitShape<DescMessage>>,
  signal: AbortSignal,
): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await unlessAborted(iterator.next(), signal);
      if (next.done === true) return;
      const bytes = encodeAnswer(output, next.value);
      await unlessAborted(new Promise<unknown>((resolve) => call.write(bytes, resolve)), signal);
    }
  } finally {
    // Not awaited: a generator that sleeps takes note when it wakes.
    iterator.return?.().catch(() => {});
  }
}

/** `promise`, or the signal's reason when that comes first. Leaves no listener behind, however long the signal lives. */
async function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}
