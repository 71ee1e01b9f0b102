import { setMaxListeners } from 'node:events';
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ExecPathError } from '../common/errors.ts';
import { checkOrigin } from '../identity/index.ts';
import { sendError, setCommonHeaders } from './answer.ts';
import { apiStatusOf, badRequest, methodNotAllowed } from './api-error.ts';
import { type ConnectInfo, isConnect } from './authorization.ts';
import type { ConnectHandler, ConnectRequest } from './connect-request.ts';
import { InFlight } from './in-flight.ts';
import { findPodLocation, type LocationOptions, type PodLocation } from './pod-location.ts';
import { refuseUpgradeRequest } from './refuse-upgrade-request.ts';
import { type FilterOptions, passFilters, stopping } from './request-filters.ts';
import { parseTarget, type RequestInfo, requestInfoOf } from './request-info.ts';
import { RequestTrace } from './request-trace.ts';
import { type RouteTable, route } from './routes.ts';

export interface RequestChainOptions extends FilterOptions {
  readonly routes: RouteTable;
  readonly location: LocationOptions;
  /** Serves exec, attach and port-forward; absent: 501. */
  readonly onConnect?: ConnectHandler | undefined;
  readonly maxRequestsInFlight?: number | undefined;
  readonly allowedOrigins: readonly RegExp[];
}

/** What all requests of a server go through, upgrades too: audit id, filters, limits, route, answer. */
export class RequestChain {
  readonly #options: RequestChainOptions;
  readonly #inFlight: InFlight;
  readonly #closing = new AbortController();

  constructor(options: RequestChainOptions) {
    this.#options = options;
    this.#inFlight = new InFlight(options.maxRequestsInFlight);
    // Every watch and every session listens.
    setMaxListeners(0, this.#closing.signal);
  }

  /** Ends watches and tells sessions; new ones are turned away, and connections end with their next answer. */
  close(): void {
    this.#closing.abort();
  }

  /** For the server's `request` event. */
  onRequest(request: IncomingMessage, response: ServerResponse): void {
    const trace = new RequestTrace(request);
    setCommonHeaders(response, trace.auditId);
    if (this.#closing.signal.aborted) response.shouldKeepAlive = false;
    void this.#answer(request, response, trace)
      .catch((error: unknown) => {
        // Half a body that nobody reads would be taken for the next request.
        if (!request.complete) response.shouldKeepAlive = false;
        sendError(response, error);
      })
      // Nothing that goes wrong with one request may end the process.
      .catch(() => response.destroy())
      .finally(() => trace.end(response.statusCode));
  }

  /** For the server's `upgrade` event. */
  onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (isAnswering(socket, request)) {
      socket.destroy();
      return;
    }
    const info = infoOf(request);
    if (info === undefined || !isConnect(info)) {
      this.onRequest(request, responseOn(socket, request));
      return;
    }
    const trace = new RequestTrace(request);
    const writtenBefore = socket.bytesWritten;
    void this.#connect(request, { socket, head, trace })
      .then(
        () => trace.end(101),
        (error: unknown) => {
          if (socket.bytesWritten === writtenBefore) refuseUpgradeRequest(socket, error, trace);
          else socket.destroy();
          trace.end(apiStatusOf(error).code);
        },
      )
      .catch(() => socket.destroy());
  }

  async #answer(request: IncomingMessage, response: ServerResponse, trace: RequestTrace): Promise<void> {
    const { info, query, user } = await passFilters(request, this.#options);
    trace.user = user.name;
    if (isConnect(info)) {
      refuseMethod(request);
      // Refused for the same reasons as an upgrade, before it is said that one is missing.
      refuseDryRun(query);
      await this.#find(info, query);
      throw new ExecPathError('ERR_UPGRADE_REQUIRED', 'Upgrade request required', { hop: 'apiserver' });
    }
    const { auditId } = trace;
    const gone = new AbortController();
    const onGone = (): void => gone.abort();
    const closing = this.#closing.signal;
    const exchange = { request, response, info, query, user, auditId, signal: gone.signal };
    // Both last as long as the client likes.
    const isWatch = info.kind === 'resource' && (info.verb === 'watch' || info.subresource === 'log');
    const leave = isWatch ? () => {} : this.#inFlight.enter();
    response.on('close', onGone);
    if (isWatch) closing.addEventListener('abort', onGone);
    try {
      if (closing.aborted) throw stopping();
      await route(this.#options.routes, exchange);
    } finally {
      leave();
      closing.removeEventListener('abort', onGone);
      // The connection was promised to stay when the watch began.
      if (isWatch && closing.aborted) response.once('finish', () => response.socket?.destroySoon());
    }
  }

  async #connect(
    request: IncomingMessage,
    { socket, head, trace }: { readonly socket: Socket; readonly head: Buffer; readonly trace: RequestTrace },
  ): Promise<void> {
    const { info, query, user } = await passFilters(request, this.#options);
    trace.user = user.name;
    if (!isConnect(info)) throw badRequest('the path is none that takes upgrades');
    refuseMethod(request);
    checkOrigin(request, this.#options.allowedOrigins);
    refuseDryRun(query);
    if (this.#closing.signal.aborted) throw stopping();
    const { onConnect } = this.#options;
    if (onConnect === undefined) {
      const text = `this server does not serve ${info.subresource}`;
      throw new ExecPathError('ERR_NOT_IMPLEMENTED', text, { hop: 'apiserver' });
    }
    const connect: ConnectRequest = {
      request,
      socket,
      head,
      user,
      namespace: info.namespace,
      pod: info.name,
      subresource: info.subresource,
      query,
      auditId: trace.auditId,
      signal: this.#closing.signal,
      findLocation: (container) => this.#find(info, query, container),
      refuse: async (error) => refuseUpgradeRequest(socket, error, trace),
    };
    await onConnect(connect);
  }

  #find(info: ConnectInfo, query: URLSearchParams, container = query.get('container') ?? ''): Promise<PodLocation> {
    const { namespace, name: pod, subresource } = info;
    const target = { namespace, pod, subresource, container };
    return findPodLocation(this.#options.routes.registry, target, this.#options.location);
  }
}

/** Undefined for a request that cannot be read: the filters say why. */
function infoOf(request: IncomingMessage): RequestInfo | undefined {
  try {
    return requestInfoOf(request.method ?? '', parseTarget(request.url ?? ''));
  } catch {
    return undefined;
  }
}

/** A request that came right behind another one: that one's answer would end up within the new protocol. */
function isAnswering(socket: Socket, request: IncomingMessage): boolean {
  const probe = new ServerResponse(request);
  try {
    probe.assignSocket(socket);
    probe.detachSocket(socket);
    return false;
  } catch {
    return true;
  }
}

/** Some clients offer an upgrade with every request (`Upgrade: h2c`): it is answered as if they had not. */
function responseOn(socket: Socket, request: IncomingMessage): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  socket.on('drain', () => response.emit('drain'));
  response.on('finish', () => socket.destroySoon());
  response.assignSocket(socket);
  return response;
}

/** Streaming subresources are asked for by GET, or by POST from clients of SPDY. */
function refuseMethod({ method }: IncomingMessage): void {
  if (method !== 'GET' && method !== 'POST') throw methodNotAllowed();
}

function refuseDryRun(query: URLSearchParams): void {
  if ((query.get('dryRun') ?? '') !== '') throw badRequest('dryRun is not supported');
}
