import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { ImageMethods, RuntimeMethods } from './service.ts';

export interface HandlerContext {
  /** Fires when nobody waits for the answer any more: the caller is gone, its deadline has passed or the server closes. */
  readonly signal: AbortSignal;
}

/**
 * Answers one unary RPC with the fields that matter. Once the signal fires its answer counts no more. What it throws becomes the gRPC status: a RuntimeCallError its
 * code, another ExecPathError the code of its row, anything else Unknown.
 */
export type UnaryHandler<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageShape<Input>,
  context: HandlerContext,
) => Promise<MessageInitShape<Output>>;

/**
 * Answers one RPC with a stream, as an async generator does. The next message is asked for when the last one is on
 * its way. When the signal fires, `return()` is called and nobody waits for it: a generator that sleeps must watch
 * the signal.
 */
export type StreamHandler<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageShape<Input>,
  context: HandlerContext,
) => AsyncIterable<MessageInitShape<Output>>;

export type ServiceHandlers<Methods> = {
  [Name in keyof Methods]: Methods[Name] extends {
    readonly methodKind: infer Kind;
    readonly input: infer Input extends DescMessage;
    readonly output: infer Output extends DescMessage;
  }
    ? Kind extends 'server_streaming'
      ? StreamHandler<Input, Output>
      : UnaryHandler<Input, Output>
    : never;
};

/** One async function or async generator for each RPC, by its name in camel case. */
export type RuntimeServiceHandlers = ServiceHandlers<RuntimeMethods>;
export type ImageServiceHandlers = ServiceHandlers<ImageMethods>;

/** What a runtime implements; RPCs that are left out answer Unimplemented. */
export interface CriHandlers {
  readonly runtime?: Partial<RuntimeServiceHandlers>;
  readonly image?: Partial<ImageServiceHandlers>;
}
