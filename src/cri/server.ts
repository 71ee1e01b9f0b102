import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ExecPathError, toError } from '../common/errors.ts';
import { isLoopback } from '../common/loopback.ts';
import { type CriEndpoint, formatCriEndpoint, grpcTargetOf, parseCriEndpoint } from './endpoint.ts';
import { addService } from './grpc-service.ts';
import type { CriHandlers } from './handlers.ts';
import { ServedCalls } from './served-calls.ts';
import { MAX_MESSAGE_BYTES } from './service.ts';
import { freeSocketPath, restrictSocket } from './socket-file.ts';

/** How long a graceful close waits for answers under way before it ends them, in ms. */
const CLOSE_GRACE_MS = 5000;

/** How long callers then have to take their errors before the connections are cut, in ms. */
const CLOSE_FLUSH_MS = 500;

/** Calls that one connection may have under way; more wait on the caller's side. */
const MAX_CONCURRENT_CALLS = 1000;

/** Where to listen: one of them or both. */
export interface CriListen {
  /** Absolute path or `unix:///path`. A stale socket there is removed; the new one has mode 0660. */
  readonly socketPath?: string | undefined;
  /** `host:port` or `tcp://host:port`, loopback only because it is plain TCP; port 0 takes a free one. */
  readonly tcp?: string | undefined;
}

export interface CriServerOptions {
  /** ms that `close()` waits for answers under way; default 5000 */
  readonly closeGraceMs?: number | undefined;
}

/**
 * A CRI server that listens.
 *
 * Owns: the sockets, the connections and the signals of the calls on them.
 */
export class CriServer implements AsyncDisposable {
  /** `unix:///path` and `tcp://host:port`, with the port that was taken */
  readonly endpoints: readonly string[];
  readonly #server: Server;
  readonly #calls: ServedCalls;
  readonly #closeGraceMs: number;
  #closing: Promise<void> | undefined;

  /** For {@link serveCri}. */
  constructor(server: Server, calls: ServedCalls, endpoints: readonly string[], closeGraceMs: number) {
    this.#server = server;
    this.#calls = calls;
    this.endpoints = endpoints;
    this.#closeGraceMs = closeGraceMs;
  }

  /** Takes no more calls, ends streams, waits for unary answers, and cuts them off after the grace. Twice is once. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#calls.endStreams();
    const steps = [
      setTimeout(() => this.#calls.abort(), this.#closeGraceMs),
      setTimeout(() => this.#server.forceShutdown(), this.#closeGraceMs + CLOSE_FLUSH_MS),
    ];
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    for (const step of steps) clearTimeout(step);
  }
}

/**
 * Serves CRI v1 with a runtime's handlers. RPCs without a handler answer Unimplemented.
 *
 * @throws ExecPathError ERR_CRI_ENDPOINT, ERR_CRI_LISTEN
 */
export async function serveCri(
  handlers: CriHandlers,
  listen: CriListen,
  options: CriServerOptions = {},
): Promise<CriServer> {
  const wanted = endpointsOf(listen);
  const calls = new ServedCalls();
  const server = new Server({
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': MAX_CONCURRENT_CALLS,
  });
  addService(server, calls, 'runtime', handlers);
  addService(server, calls, 'image', handlers);
  const endpoints: string[] = [];
  try {
    for (const endpoint of wanted) endpoints.push(formatCriEndpoint(await bind(server, endpoint)));
  } catch (error) {
    server.forceShutdown();
    throw error;
  }
  return new CriServer(server, calls, endpoints, options.closeGraceMs ?? CLOSE_GRACE_MS);
}

function endpointsOf(listen: CriListen): CriEndpoint[] {
  const endpoints: CriEndpoint[] = [];
  if (listen.socketPath !== undefined) endpoints.push(expectKind(listen.socketPath, 'unix'));
  if (listen.tcp !== undefined) endpoints.push(expectKind(listen.tcp, 'tcp'));
  if (endpoints.length === 0)
    throw new ExecPathError('ERR_CRI_ENDPOINT', 'a CRI server needs a socket path or a TCP address');
  return endpoints;
}

function expectKind(text: string, kind: CriEndpoint['kind']): CriEndpoint {
  const endpoint = parseCriEndpoint(text);
  if (endpoint.kind !== kind) {
    throw new ExecPathError('ERR_CRI_ENDPOINT', `the CRI endpoint ${JSON.stringify(text)} is no ${kind} endpoint`);
  }
  if (endpoint.kind === 'tcp' && !isLoopback(endpoint.host)) {
    throw new ExecPathError(
      'ERR_CRI_ENDPOINT',
      `the CRI endpoint ${JSON.stringify(text)} is not on loopback: plain TCP would give root on the node to the network`,
    );
  }
  return endpoint;
}

async function bind(server: Server, endpoint: CriEndpoint): Promise<CriEndpoint> {
  if (endpoint.kind === 'unix') await freeSocketPath(endpoint.path);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(grpcTargetOf(endpoint), ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(listenError(endpoint, error));
    });
  });
  if (endpoint.kind === 'tcp') return { ...endpoint, port };
  await restrictSocket(endpoint.path);
  return endpoint;
}

function listenError(endpoint: CriEndpoint, error: unknown): ExecPathError {
  const cause = toError(error);
  // The library counts addresses and then lists what the system said of each.
  const why = /errors: \[(.*)\]$/s.exec(cause.message)?.[1] ?? cause.message;
  return new ExecPathError('ERR_CRI_LISTEN', `cannot serve CRI on ${formatCriEndpoint(endpoint)}: ${why}`, {
    cause,
    hop: 'runtime',
  });
}
