import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import {
  create,
  type DescMessage,
  type DescMethod,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { ExecPathError, toError } from '../common/errors.ts';
import { type ChannelTls, GrpcChannel } from '../grpc/index.ts';
import { EtcdCallError } from './etcd-error.ts';
import {
  KV,
  Lease,
  Maintenance,
  Watch,
  type WatchCreateRequestSchema,
  WatchRequestSchema,
  type WatchResponse,
} from './gen/etcd/v3/etcd_pb.ts';

/** How long a call may take, with the time until a server is there for it, in ms. */
export const ETCD_CALL_TIMEOUT_MS = 10_000;

/** How long one server may take to accept a connection before the next one is tried, in ms. */
const CONNECT_TIMEOUT_MS = 2000;

/** Between two rounds of servers of which none is there, in ms. */
const RETRY_PAUSE_MS = 100;

/** etcd allows pings every 5 s; without them a server that is gone without a word would be waited for. */
const KEEPALIVE_MS = 10_000;

/** etcd itself limits what it takes; lists come in pages, each of which may hold many large values. */
const MAX_MESSAGE_BYTES = 2 ** 31 - 1;

export interface EtcdServers {
  /** `--etcd-servers`: `http://HOST:PORT` or `https://HOST:PORT` of one cluster's members. */
  readonly servers: readonly string[];
  /** `--etcd-cafile`: PEM; without it the machine's roots count. Files are read again for a new connection. */
  readonly caFile?: string;
  /** `--etcd-certfile`: PEM, for servers that want to know who calls. */
  readonly certFile?: string;
  /** `--etcd-keyfile` */
  readonly keyFile?: string;
}

type Method = DescMethod & { readonly methodKind: 'unary' };

export interface EtcdCallOptions {
  /** It may be done twice: then another server is asked when one goes away in the middle. */
  readonly isRepeatable?: boolean;
}

/**
 * Speaks etcd's API v3 to the first of several servers that is there, and to another one when it goes.
 *
 * Owns: a channel to each.
 */
export class EtcdClient {
  readonly #options: EtcdServers;
  #channels: GrpcChannel[] = [];
  #current = 0;
  #tlsText = '';
  #closed = false;

  private constructor(options: EtcdServers) {
    this.#options = options;
  }

  /** Connects nowhere yet. @throws ExecPathError ERR_BAD_REQUEST, ERR_CERTIFICATE for files that cannot be read */
  static async create(options: EtcdServers): Promise<EtcdClient> {
    for (const server of options.servers) parseServer(server);
    if (options.servers.length === 0) throw badServers('--etcd-servers names no server');
    const client = new EtcdClient(options);
    await client.#renewChannels();
    return client;
  }

  /** As errors call them. */
  get servers(): string {
    return this.#options.servers.join(', ');
  }

  readonly range = this.#bind(KV.method.range, { isRepeatable: true });
  readonly txn = this.#bind(KV.method.txn, {});
  readonly compact = this.#bind(KV.method.compact, { isRepeatable: true });
  readonly grantLease = this.#bind(Lease.method.leaseGrant, { isRepeatable: true });
  readonly status = this.#bind(Maintenance.method.status, { isRepeatable: true });

  /** One watch on a stream of its own; leaving the loop ends it. @throws EtcdCallError */
  async *watch(
    request: MessageInitShape<typeof WatchCreateRequestSchema>,
    signal: AbortSignal,
  ): AsyncGenerator<WatchResponse, void, undefined> {
    const channel = await this.#ready(Date.now() + ETCD_CALL_TIMEOUT_MS);
    const first = create(WatchRequestSchema, { requestUnion: { case: 'createRequest', value: request } });
    try {
      const answers = channel.bidi(Watch.method.watch, first, { timeoutMs: Number.POSITIVE_INFINITY, signal });
      yield* answers as AsyncGenerator<WatchResponse, void, undefined>;
    } catch (thrown) {
      this.#leave(channel);
      throw thrown;
    }
  }

  /** Fails the calls under way. Twice is once. */
  close(): void {
    this.#closed = true;
    for (const channel of this.#channels) channel.close();
  }

  #bind<Input extends DescMessage, Output extends DescMessage>(
    method: Method & { readonly input: Input; readonly output: Output },
    options: EtcdCallOptions,
  ): (init: MessageInitShape<Input>) => Promise<MessageShape<Output>> {
    return async (init) => (await this.#call(method, create(method.input, init), options)) as MessageShape<Output>;
  }

  async #call(method: Method, request: MessageShape<DescMessage>, options: EtcdCallOptions): Promise<unknown> {
    const deadline = Date.now() + ETCD_CALL_TIMEOUT_MS;
    for (;;) {
      const channel = await this.#ready(deadline);
      try {
        const timeoutMs = Math.max(0, deadline - Date.now());
        return await channel.unary(method, request, { timeoutMs, signal: undefined });
      } catch (thrown) {
        if (!(thrown instanceof EtcdCallError) || !thrown.isServerAway) throw thrown;
        this.#leave(channel);
        // A write that was on its way may have been done: only who asked can decide what to do.
        const mayTryAgain = options.isRepeatable === true || thrown.wasRefused;
        if (!mayTryAgain || Date.now() >= deadline) throw thrown;
        await delay(RETRY_PAUSE_MS, undefined, { ref: false });
      }
    }
  }

  /** A channel that is connected, the one in use first. */
  async #ready(deadline: number): Promise<GrpcChannel> {
    for (;;) {
      for (let turn = 0; turn < this.#channels.length; turn += 1) {
        const at = (this.#current + turn) % this.#channels.length;
        const channel = this.#channels[at];
        const timeoutMs = Math.min(CONNECT_TIMEOUT_MS, Math.max(0, deadline - Date.now()));
        if (channel === undefined || !(await channel.isReady(timeoutMs))) continue;
        this.#current = at;
        return channel;
      }
      if (this.#closed) throw new ExecPathError('ERR_STORE_CLOSED', 'the store is closed');
      if (Date.now() >= deadline) {
        const cause = await this.#lastFailure();
        const message = `no etcd server answered within ${ETCD_CALL_TIMEOUT_MS / 1000} s: ${this.servers}`;
        const why = cause === undefined ? '' : ` (${cause.message.replaceAll(/\s+/g, ' ')})`;
        throw new ExecPathError('ERR_STORE_UNAVAILABLE', message + why, { cause, hop: 'apiserver' });
      }
      await this.#renewChannels();
      await delay(RETRY_PAUSE_MS);
    }
  }

  /** Why the first server cannot be reached, as a call to it says: a channel alone tells nothing. */
  async #lastFailure(): Promise<Error | undefined> {
    const method = Maintenance.method.status;
    const limits = { timeoutMs: CONNECT_TIMEOUT_MS, signal: undefined };
    return await this.#channels[0]?.unary(method, create(method.input, {}), limits).then(() => undefined, toError);
  }

  /** The next call begins with another server. */
  #leave(channel: GrpcChannel): void {
    if (this.#channels[this.#current] === channel) this.#current = (this.#current + 1) % this.#channels.length;
  }

  /** Certificates may have been renewed since the channels were made. */
  async #renewChannels(): Promise<void> {
    const { caFile, certFile, keyFile, servers } = this.#options;
    const [ca, certificate, key] = await Promise.all([caFile, certFile, keyFile].map(readPem));
    const text = [ca, certificate, key].map((bytes) => bytes?.toString() ?? '').join('\0');
    if (this.#closed || (this.#channels.length > 0 && text === this.#tlsText)) return;
    this.#tlsText = text;
    for (const channel of this.#channels) channel.close();
    const tls: ChannelTls = { ...(ca && { ca }), ...(certificate && { certificate }), ...(key && { key }) };
    this.#channels = servers.map((server) => channelTo(server, tls));
  }
}

function channelTo(server: string, tls: ChannelTls): GrpcChannel {
  const url = parseServer(server);
  return new GrpcChannel({
    endpoint: server,
    target: `dns:${url.hostname}:${url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port}`,
    ...(url.protocol === 'https:' ? { tls } : {}),
    maxMessageBytes: MAX_MESSAGE_BYTES,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    keepaliveMs: KEEPALIVE_MS,
    // A member that lost its leader says so in place of waiting for one.
    metadata: { hasleader: 'true' },
    failureOf: (failure) => new EtcdCallError(failure, server),
  });
}

/** @throws ExecPathError ERR_BAD_REQUEST */
export function parseServer(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || !['', '/'].includes(url.pathname)) {
    throw badServers(`--etcd-servers has ${JSON.stringify(text)}: a server is http://HOST:PORT or https://HOST:PORT`);
  }
  return url;
}

function badServers(message: string): Error {
  return new ExecPathError('ERR_BAD_REQUEST', message, { hop: 'apiserver' });
}

async function readPem(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (cause) {
    const message = `${path} cannot be read for etcd: ${toError(cause).message}`;
    throw new ExecPathError('ERR_CERTIFICATE', message, { cause, hop: 'apiserver' });
  }
}
