import { create, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { type CallLimits, GrpcChannel } from '../grpc/index.ts';
import { RuntimeCallError } from './call-error.ts';
import { publishCall } from './call-trace.ts';
import { type CriEndpoint, formatCriEndpoint, grpcTargetOf, parseCriEndpoint } from './endpoint.ts';
import {
  type CriMessage,
  type CriMethod,
  type criServices,
  type ImageMethods,
  MAX_MESSAGE_BYTES,
  methodsOf,
  type RuntimeMethods,
} from './service.ts';
import { callTimeoutMs, DEFAULT_CALL_TIMEOUT_MS } from './timeout.ts';

/** How long a runtime may take to accept a connection and speak HTTP/2, in ms. */
const CONNECT_TIMEOUT_MS = 10_000;

export interface CriClientOptions {
  /** The kubelet's `runtimeRequestTimeout`, ms; default 120,000. Single calls differ, see `callTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** ms; default 10,000 */
  readonly connectTimeoutMs?: number | undefined;
  /** Closes the client when it fires. */
  readonly signal?: AbortSignal | undefined;
}

export interface CriCallOptions {
  /** Replaces the rule of the call, ms; Infinity for no limit. */
  readonly timeoutMs?: number | undefined;
  /** Cancels the call, which then fails with ERR_ABORTED and gRPC code Canceled. */
  readonly signal?: AbortSignal | undefined;
}

/** A unary RPC. Takes a plain object with the fields that matter, gives the whole message. @throws RuntimeCallError */
export type UnaryCall<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageInitShape<Input>,
  options?: CriCallOptions,
) => Promise<MessageShape<Output>>;

/** An RPC that answers with a stream. It begins with the iteration, and leaving the loop ends it. @throws RuntimeCallError */
export type StreamCall<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageInitShape<Input>,
  options?: CriCallOptions,
) => AsyncGenerator<MessageShape<Output>, void, undefined>;

/** One function for each method of a service. */
export type ServiceClient<Methods> = {
  readonly [Name in keyof Methods]: Methods[Name] extends {
    readonly methodKind: infer Kind;
    readonly input: infer Input extends DescMessage;
    readonly output: infer Output extends DescMessage;
  }
    ? Kind extends 'server_streaming'
      ? StreamCall<Input, Output>
      : UnaryCall<Input, Output>
    : never;
};

export type RuntimeServiceClient = ServiceClient<RuntimeMethods>;
export type ImageServiceClient = ServiceClient<ImageMethods>;

/** What a runtime can be asked, for those who do not own the connection. */
export type CriServices = Pick<CriClient, 'runtime' | 'image'>;

/**
 * Speaks CRI v1 to a runtime. Does no I/O before the first call, reconnects when the runtime restarts, and keeps the
 * kubelet's deadlines.
 *
 * Owns: the connection. Close it when done.
 */
export class CriClient implements AsyncDisposable {
  /** `unix:///path` or `tcp://host:port` */
  readonly endpoint: string;
  readonly runtime: RuntimeServiceClient;
  readonly image: ImageServiceClient;
  readonly #channel: GrpcChannel;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#channel.close();

  /**
   * @param endpoint `unix:///path`, an absolute path, `tcp://host:port` or `host:port`, all without TLS
   * @throws ExecPathError ERR_CRI_ENDPOINT
   */
  constructor(endpoint: string, options: CriClientOptions = {}) {
    this.#channel = channelTo(parseCriEndpoint(endpoint), options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS);
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_CALL_TIMEOUT_MS;
    this.endpoint = this.#channel.endpoint;
    this.runtime = this.#bind('runtime');
    this.image = this.#bind('image');
    this.#signal = options.signal;
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (this.#signal?.aborted === true) this.#onAbort();
  }

  /** Cancels the calls under way and ends the connection. Twice is once. */
  async close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#channel.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #bind<Name extends keyof typeof criServices>(service: Name): ServiceClient<(typeof criServices)[Name]['method']> {
    const calls = methodsOf(service).map((method) => [
      method.localName,
      method.methodKind === 'unary' ? this.#unary(method) : this.#stream(method),
    ]);
    return Object.fromEntries(calls) as ServiceClient<(typeof criServices)[Name]['method']>;
  }

  #unary(method: CriMethod): UnaryCall<DescMessage, DescMessage> {
    return async (init, options = {}) => {
      const request = create(method.input, init);
      return this.#channel.unary(method, request, this.#limits(method, request, options));
    };
  }

  #stream(method: CriMethod): StreamCall<DescMessage, DescMessage> {
    return (init, options = {}) => {
      const request = create(method.input, init);
      return this.#channel.stream(method, request, this.#limits(method, request, options));
    };
  }

  #limits(method: CriMethod, request: CriMessage, options: CriCallOptions): CallLimits {
    return {
      timeoutMs: options.timeoutMs ?? callTimeoutMs(method.name, request, this.#timeoutMs),
      signal: options.signal,
    };
  }
}

function channelTo(parsed: CriEndpoint, connectTimeoutMs: number): GrpcChannel {
  const endpoint = formatCriEndpoint(parsed);
  return new GrpcChannel({
    endpoint,
    target: grpcTargetOf(parsed),
    authority: 'localhost',
    maxMessageBytes: MAX_MESSAGE_BYTES,
    connectTimeoutMs,
    failureOf: ({ grpcCode, description, ...rest }) => new RuntimeCallError(grpcCode, description, rest),
    onEnd: ({ rpc, startedAt, failure }) => publishCall({ side: 'client', endpoint, rpc }, startedAt, failure),
  });
}
