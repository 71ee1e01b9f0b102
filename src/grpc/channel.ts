import type { DescMethod } from '@bufbuild/protobuf';
import {
  type ChannelCredentials,
  Client,
  connectivityState,
  credentials,
  logVerbosity,
  Metadata,
  setLogVerbosity,
} from '@grpc/grpc-js';
import { toError } from '../common/errors.ts';
import type { CallEnd, CallFailure } from './call-failure.ts';
import { deadlineAfter } from './deadline.ts';
import { decodeMessage, encodeMessage, type GrpcMessage, pathOf } from './message.ts';
import { OpenCall } from './open-call.ts';

// Libraries do not write to the console; who sets GRPC_VERBOSITY wants to read it.
if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);

/** Go servers end connections that ping more often than every 5 minutes. */
const KEEPALIVE_MS = 6 * 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;
/** Pauses between attempts to connect: the kubelet's. */
const MIN_RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 3000;

const commonOptions = {
  'grpc.initial_reconnect_backoff_ms': MIN_RECONNECT_MS,
  'grpc.max_reconnect_backoff_ms': MAX_RECONNECT_MS,
  // Not shared with other clients of this process, so that close() ends the connection.
  'grpc.use_local_subchannel_pool': 1,
  // The endpoint means what it says: no proxy from the environment, no settings from DNS.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
} as const;

export interface ChannelOptions {
  /** How the endpoint is called in errors. */
  readonly endpoint: string;
  /** How the gRPC library is told to dial it. */
  readonly target: string;
  /** PEM: TLS, with these in place of the machine's roots and, with certificate and key, mutual. Absent: plain. */
  readonly tls?: ChannelTls;
  /** What HTTP/2 calls `:authority`; absent: from the target. */
  readonly authority?: string;
  /** Either way. */
  readonly maxMessageBytes: number;
  /** How long the server may take to accept a connection and speak HTTP/2, ms. */
  readonly connectTimeoutMs: number;
  /** Pings of an idle connection, ms; default every 6 minutes, for Go servers forbid more than one in 5. */
  readonly keepaliveMs?: number;
  /** Sent along with each call. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The error for a failed call. */
  failureOf(failure: CallFailure): Error;
  /** Told of each call that is over. */
  readonly onEnd?: (end: CallEnd) => void;
}

export interface ChannelTls {
  readonly ca?: Buffer;
  readonly certificate?: Buffer;
  readonly key?: Buffer;
}

/** Limits of one call. */
export interface CallLimits {
  /** ms; Infinity for none */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * The gRPC channel to one server. It dials at the first call and again after the server restarted; while nobody
 * listens, calls fail at once with Unavailable and do not queue.
 *
 * Owns: the connection and the calls on it.
 */
export class GrpcChannel {
  readonly endpoint: string;
  readonly #client: Client;
  readonly #options: ChannelOptions;
  readonly #metadata = new Metadata();
  readonly #calls = new Set<OpenCall>();
  #closed = false;

  constructor(options: ChannelOptions) {
    this.endpoint = options.endpoint;
    this.#options = options;
    for (const [name, value] of Object.entries(options.metadata ?? {})) this.#metadata.set(name, value);
    this.#client = new Client(options.target, credentialsOf(options.tls), {
      ...commonOptions,
      'grpc.keepalive_time_ms': options.keepaliveMs ?? KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.max_send_message_length': options.maxMessageBytes,
      'grpc.max_receive_message_length': options.maxMessageBytes,
      ...(options.authority === undefined ? {} : { 'grpc.default_authority': options.authority }),
    });
  }

  /** @throws what `failureOf` makes */
  async unary(method: DescMethod, request: GrpcMessage, limits: CallLimits): Promise<GrpcMessage> {
    const open = this.#open(method, limits);
    try {
      this.#start(open);
      const bytes = encodeMessage(method.input, request);
      return await new Promise<GrpcMessage>((resolve, reject) => {
        const call = this.#client.makeUnaryRequest(
          pathOf(method),
          asIs,
          (answer) => decodeMessage(method.output, answer),
          bytes,
          this.#metadata,
          { deadline: deadlineAfter(limits.timeoutMs) },
          (error, response) => {
            if (error === null && response !== undefined) resolve(response);
            else reject(toError(error));
          },
        );
        open.attach(call);
      });
    } catch (error) {
      throw this.#options.failureOf(open.fail(error));
    } finally {
      this.#release(open);
    }
  }

  /** Starts at the first `next()`. `return()`, as at the end of a `for await` loop, cancels the call. */
  async *stream(
    method: DescMethod,
    request: GrpcMessage,
    limits: CallLimits,
  ): AsyncGenerator<GrpcMessage, void, undefined> {
    const open = this.#open(method, limits);
    try {
      this.#start(open);
      const call = this.#client.makeServerStreamRequest(
        pathOf(method),
        asIs,
        (answer) => decodeMessage(method.output, answer),
        encodeMessage(method.input, request),
        this.#metadata,
        { deadline: deadlineAfter(limits.timeoutMs) },
      );
      open.attach(call);
      // A cancelled call emits its error after the loop below has left and nobody else listens.
      call.on('error', () => {});
      yield* call as AsyncIterable<GrpcMessage>;
    } catch (error) {
      throw this.#options.failureOf(open.fail(error));
    } finally {
      this.#release(open);
    }
  }

  /** A call both ways of which only the first message is ours. Starts and ends as {@link stream}. */
  async *bidi(
    method: DescMethod,
    first: GrpcMessage,
    limits: CallLimits,
  ): AsyncGenerator<GrpcMessage, void, undefined> {
    const open = this.#open(method, limits);
    try {
      this.#start(open);
      const call = this.#client.makeBidiStreamRequest(
        pathOf(method),
        asIs,
        (answer) => decodeMessage(method.output, answer),
        this.#metadata,
        { deadline: deadlineAfter(limits.timeoutMs) },
      );
      open.attach(call);
      call.on('error', () => {});
      call.write(encodeMessage(method.input, first));
      yield* call as AsyncIterable<GrpcMessage>;
    } catch (error) {
      throw this.#options.failureOf(open.fail(error));
    } finally {
      this.#release(open);
    }
  }

  /** Whether a connection stands within `timeoutMs`; dials when there is none. */
  isReady(timeoutMs: number): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    if (this.#state() === connectivityState.READY) return Promise.resolve(true);
    return new Promise((resolve) => {
      const channel = this.#client.getChannel();
      const deadline = deadlineAfter(timeoutMs);
      const look = (state: connectivityState): void => {
        if (state === connectivityState.READY) resolve(true);
        else if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) resolve(false);
        else channel.watchConnectivityState(state, deadline, (late) => (late ? resolve(false) : look(this.#state())));
      };
      look(channel.getConnectivityState(true));
    });
  }

  /** Cancels the calls and ends the connection; later calls fail. Twice is once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const open of this.#calls) open.giveUp('Canceled', `the client of ${this.endpoint} was closed`);
    this.#client.close();
  }

  #open(method: DescMethod, { signal }: CallLimits): OpenCall {
    return new OpenCall(method.name, signal, this.#options.onEnd);
  }

  #start(open: OpenCall): void {
    if (this.#closed) open.giveUp('Canceled', `the client of ${this.endpoint} is closed`);
    open.start();
    this.#calls.add(open);
    if (this.#state() === connectivityState.READY) return;
    open.guard(this.#options.connectTimeoutMs, () => this.#checkConnected(open));
  }

  /**
   * A socket that is accepted but never answered, as by a runtime that hangs, is no failure to the library: it would
   * wait for HTTP/2 settings for ever, and with it calls that have no deadline.
   */
  #checkConnected(open: OpenCall): void {
    if (this.#state() !== connectivityState.CONNECTING) return;
    open.giveUp('Unavailable', `${this.endpoint} did not speak HTTP/2 within ${this.#options.connectTimeoutMs} ms`);
  }

  #state(): connectivityState {
    return this.#client.getChannel().getConnectivityState(false);
  }

  #release(open: OpenCall): void {
    this.#calls.delete(open);
    open.release();
  }
}

function credentialsOf(tls: ChannelTls | undefined): ChannelCredentials {
  return tls === undefined
    ? credentials.createInsecure()
    : credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.certificate ?? null);
}

/** Requests are encoded before they are sent: inside the library an error would lose its words. */
function asIs(bytes: Buffer): Buffer {
  return bytes;
}
