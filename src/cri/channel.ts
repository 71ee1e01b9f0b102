import { Client, connectivityState, credentials, Metadata } from '@grpc/grpc-js';
import { toError } from '../common/errors.ts';
import { type CriEndpoint, formatCriEndpoint, grpcTargetOf } from './endpoint.ts';
import { OpenCall } from './open-call.ts';
import { type CriMessage, type CriMethod, decodeMessage, encodeMessage, MAX_MESSAGE_BYTES, pathOf } from './service.ts';
import { deadlineAfter } from './timeout.ts';

/** Go servers end connections that ping more often than every 5 minutes. */
const KEEPALIVE_MS = 6 * 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;
/** The kubelet's pauses between attempts to connect. */
const MIN_RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 3000;

const channelOptions = {
  'grpc.default_authority': 'localhost',
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.initial_reconnect_backoff_ms': MIN_RECONNECT_MS,
  'grpc.max_reconnect_backoff_ms': MAX_RECONNECT_MS,
  'grpc.keepalive_time_ms': KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  // Not shared with other clients of this process, so that close() ends the connection.
  'grpc.use_local_subchannel_pool': 1,
  // The endpoint means what it says: no proxy from the environment, no settings from DNS.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
} as const;

/** Limits of one call. */
export interface CallLimits {
  /** ms; Infinity for none */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * The gRPC channel to one runtime. It dials at the first call and again after the runtime restarted; while nobody
 * listens, calls fail at once with Unavailable and do not queue.
 *
 * Owns: the connection and the calls on it.
 */
export class CriChannel {
  readonly endpoint: string;
  readonly #client: Client;
  readonly #connectTimeoutMs: number;
  readonly #calls = new Set<OpenCall>();
  #closed = false;

  constructor(endpoint: CriEndpoint, connectTimeoutMs: number) {
    this.endpoint = formatCriEndpoint(endpoint);
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#client = new Client(grpcTargetOf(endpoint), credentials.createInsecure(), channelOptions);
  }

  /** @throws RuntimeCallError */
  async unary(method: CriMethod, request: CriMessage, limits: CallLimits): Promise<CriMessage> {
    const open = new OpenCall(this.endpoint, method.name, limits.signal);
    try {
      this.#start(open);
      const bytes = encodeMessage(method.input, request);
      return await new Promise<CriMessage>((resolve, reject) => {
        const call = this.#client.makeUnaryRequest(
          pathOf(method),
          asIs,
          (answer) => decodeMessage(method.output, answer),
          bytes,
          new Metadata(),
          { deadline: deadlineAfter(limits.timeoutMs) },
          (error, response) => {
            if (error === null && response !== undefined) resolve(response);
            else reject(toError(error));
          },
        );
        open.attach(call);
      });
    } catch (error) {
      throw open.fail(error);
    } finally {
      this.#release(open);
    }
  }

  /** Starts at the first `next()`. `return()`, as at the end of a `for await` loop, cancels the call. */
  async *stream(
    method: CriMethod,
    request: CriMessage,
    limits: CallLimits,
  ): AsyncGenerator<CriMessage, void, undefined> {
    const open = new OpenCall(this.endpoint, method.name, limits.signal);
    try {
      this.#start(open);
      const call = this.#client.makeServerStreamRequest(
        pathOf(method),
        asIs,
        (answer) => decodeMessage(method.output, answer),
        encodeMessage(method.input, request),
        new Metadata(),
        { deadline: deadlineAfter(limits.timeoutMs) },
      );
      open.attach(call);
      // A cancelled call emits its error after the loop below has left and nobody else listens.
      call.on('error', () => {});
      yield* call as AsyncIterable<CriMessage>;
    } catch (error) {
      throw open.fail(error);
    } finally {
      this.#release(open);
    }
  }

  /** Cancels the calls and ends the connection; later calls fail. Twice is once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const open of this.#calls) open.giveUp('Canceled', `the client of ${this.endpoint} was closed`);
    this.#client.close();
  }

  #start(open: OpenCall): void {
    if (this.#closed) open.giveUp('Canceled', `the client of ${this.endpoint} is closed`);
    open.start();
    this.#calls.add(open);
    if (this.#state() !== connectivityState.READY) open.guard(this.#connectTimeoutMs, () => this.#checkConnected(open));
  }

  /**
   * A socket that is accepted but never answered, as by a runtime that hangs, is no failure to the library: it would
   * wait for HTTP/2 settings for ever, and with it calls that have no deadline.
   */
  #checkConnected(open: OpenCall): void {
    if (this.#state() !== connectivityState.CONNECTING) return;
    open.giveUp('Unavailable', `${this.endpoint} did not speak HTTP/2 within ${this.#connectTimeoutMs} ms`);
  }

  #state(): connectivityState {
    return this.#client.getChannel().getConnectivityState(false);
  }

  #release(open: OpenCall): void {
    this.#calls.delete(open);
    open.release();
  }
}

/** Requests are encoded before they are sent: inside the library an error would lose its words. */
function asIs(bytes: Buffer): Buffer {
  return bytes;
}
