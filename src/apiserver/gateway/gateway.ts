import { setMaxListeners } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ExecPathError } from '../../common/errors.ts';
import { type HopLimits, proxyUpgrade } from '../../httpstream/index.ts';
import { checkOrigin } from '../../identity/index.ts';
import { ConnectionPool, type KubeClient, type RequestHeaders } from '../../kubeapi/index.ts';
import { sendError, setCommonHeaders } from '../answer.ts';
import { apiStatusOf, forbidden } from '../api-error.ts';
import { attributesOf, type ConnectInfo, isConnect, refusalText } from '../authorization.ts';
import type { ConnectHandler, ConnectRequest } from '../connect-request.ts';
import { InFlight } from '../in-flight.ts';
import { findPodLocation, type LocationOptions, type PodLocation } from '../pod-location.ts';
import { refuseUpgradeRequest } from '../refuse-upgrade-request.ts';
import { stopping } from '../request-filters.ts';
import { parseTarget, type RequestInfo, requestInfoOf } from '../request-info.ts';
import { RequestTrace } from '../request-trace.ts';
import type { AccessReviews } from './access-reviews.ts';
import type { CallerIdentities, CallerIdentity } from './caller-identity.ts';
import { forwardRequest, isFrontProxy, ownCredentialsError, refusesUs, upstreamError } from './forward-request.ts';

export interface GatewayOptions {
  readonly identities: CallerIdentities;
  /** Calls the cluster as ourselves, for `kubelets` alone. Owned by the gateway. */
  readonly client: KubeClient;
  /** Set: exec, attach and port-forward go to the kubelet. Absent: to the cluster's apiserver. */
  readonly kubelets?: {
    readonly reviews: AccessReviews;
    readonly onConnect: ConnectHandler;
    readonly location: LocationOptions;
  };
  readonly maxRequestsInFlight?: number | undefined;
  /** How long the cluster may take to begin an answer; default 60 s. */
  readonly answerTimeoutMs?: number | undefined;
  readonly allowedOrigins: readonly RegExp[];
  readonly limits?: HopLimits;
}

/** Subresources whose answers may last: they are not counted among requests, as upstream does. */
const longRunning: readonly string[] = ['log', 'proxy', 'exec', 'attach', 'portforward'];

/**
 * This apiserver before the one of a cluster: every request and every upgrade is passed on with its caller's identity.
 *
 * Owns: the connections to the cluster.
 */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #pool: ConnectionPool;
  readonly #inFlight: InFlight;
  readonly #closing = new AbortController();

  constructor(options: GatewayOptions) {
    this.#options = options;
    // Each watch keeps a connection for as long as it lasts.
    this.#pool = new ConnectionPool(options.identities.transport, { maxBusy: Number.POSITIVE_INFINITY });
    this.#inFlight = new InFlight(options.maxRequestsInFlight);
    setMaxListeners(0, this.#closing.signal);
  }

  /** Ends what lasts; new requests are turned away. */
  close(): void {
    this.#closing.abort();
    this.#pool.destroy();
    this.#options.client.close();
  }

  /** For the server's `request` event. */
  onRequest(request: IncomingMessage, response: ServerResponse): void {
    const trace = new RequestTrace(request);
    setCommonHeaders(response, trace.auditId);
    void this.#answer(request, response, trace)
      .catch((error: unknown) => {
        if (!request.complete) response.shouldKeepAlive = false;
        sendError(response, error);
      })
      .catch(() => response.destroy())
      .finally(() => trace.end(response.statusCode));
  }

  /** For the server's `upgrade` event. */
  onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const trace = new RequestTrace(request);
    const writtenBefore = socket.bytesWritten;
    void this.#upgrade(request, { socket, head, trace })
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
    const info = requestInfoOf(request.method ?? '', parseTarget(request.url ?? ''));
    const leave = mayLast(info) ? () => {} : this.#inFlight.enter();
    const gone = new AbortController();
    const onGone = (): void => gone.abort();
    const closing = this.#closing.signal;
    response.on('close', onGone);
    closing.addEventListener('abort', onGone);
    try {
      if (closing.aborted) throw stopping();
      const identity = await this.#identify(request, trace);
      const { transport } = this.#options.identities;
      const { answerTimeoutMs } = this.#options;
      const { auditId } = trace;
      const options = { transport, pool: this.#pool, identity, auditId, signal: gone.signal, answerTimeoutMs };
      await forwardRequest(request, response, options);
    } finally {
      leave();
      closing.removeEventListener('abort', onGone);
    }
  }

  async #identify(request: IncomingMessage, trace: RequestTrace): Promise<CallerIdentity> {
    const identity = await this.#options.identities.identify(request);
    trace.user = identity.user?.name;
    return identity;
  }

  async #upgrade(
    request: IncomingMessage,
    { socket, head, trace }: { readonly socket: Socket; readonly head: Buffer; readonly trace: RequestTrace },
  ): Promise<void> {
    const { kubelets, allowedOrigins } = this.#options;
    if (this.#closing.signal.aborted) throw stopping();
    checkOrigin(request, allowedOrigins);
    const { path, query } = parseTarget(request.url ?? '');
    const info = requestInfoOf(request.method ?? '', { path, query });
    const identity = await this.#identify(request, trace);
    if (kubelets !== undefined && isConnect(info)) {
      const connect = await this.#connectOf({ request, socket, head, trace, info, query, identity });
      await kubelets.onConnect(connect);
      return;
    }
    await this.#relay({ request, socket, head }, identity, trace);
  }

  async #relay(
    client: { readonly request: IncomingMessage; readonly socket: Socket; readonly head: Buffer },
    identity: CallerIdentity,
    trace: RequestTrace,
  ): Promise<void> {
    const { identities, limits = {} } = this.#options;
    const { transport } = identities;
    const url = transport.url(client.request.url ?? '/');
    const shown = await identity.headers();
    const headers: RequestHeaders = { ...shown, Host: url.host, 'Audit-ID': trace.auditId };
    const refuse = (error: ExecPathError): void => refuseUpgradeRequest(client.socket, error, trace);
    await proxyUpgrade(
      client,
      {
        connect: (signal) => transport.connect(url, { signal, highWaterMark: SOCKET_BUFFER_BYTES }),
        path: url.pathname + url.search,
        headers,
        dropHeaders: [
          'origin',
          'cookie',
          ...identity.drop,
          ...Object.keys(client.request.headers).filter(isFrontProxy),
        ],
      },
      {
        refuse: (_socket, error) => refuse(upstreamError(error.message, error)),
        tellRefusal: ({ httpStatus }) => {
          if (!refusesUs(httpStatus, identity)) return false;
          void identity
            .renew(shown)
            .catch(() => false)
            .then((isRenewed) => refuse(ownCredentialsError(isRenewed)));
          return true;
        },
        limits,
        signal: this.#closing.signal,
      },
    );
  }

  /** @throws ApiError ERR_FORBIDDEN; what the cluster said when it could not be asked */
  async #connectOf(asked: {
    readonly request: IncomingMessage;
    readonly socket: Socket;
    readonly head: Buffer;
    readonly trace: RequestTrace;
    readonly info: ConnectInfo;
    readonly query: URLSearchParams;
    readonly identity: CallerIdentity;
  }): Promise<ConnectRequest> {
    const { info, identity, trace, ...rest } = asked;
    const { kubelets, client } = this.#options;
    const { user } = identity;
    if (kubelets === undefined || user === undefined) {
      throw new ExecPathError('ERR_INTERNAL', 'streams go to kubelets only for callers that are known here');
    }
    const wanted = attributesOf(info) as ConnectInfo;
    const { isAllowed, reason } = await kubelets.reviews.mayDo(user, wanted);
    if (!isAllowed) {
      throw forbidden({ group: '', plural: 'pods' }, info.name, refusalText(user, wanted, reason));
    }
    const { namespace, name: pod, subresource } = info;
    const findLocation = (container = rest.query.get('container') ?? ''): Promise<PodLocation> =>
      findPodLocation(
        { get: (type, address) => client.get(type, address.name, { namespace: address.namespace }) },
        { namespace, pod, subresource, container },
        kubelets.location,
      );
    return {
      ...rest,
      user,
      namespace,
      pod,
      subresource,
      auditId: trace.auditId,
      signal: this.#closing.signal,
      findLocation,
      refuse: async (error) => refuseUpgradeRequest(rest.socket, error, trace),
    };
  }
}

/** Few large reads pay off for bulk over TLS. */
const SOCKET_BUFFER_BYTES = 1024 * 1024;

function mayLast(info: RequestInfo): boolean {
  return (
    info.kind === 'resource' && (info.verb === 'watch' || longRunning.includes(info.subresource.split('/')[0] ?? ''))
  );
}
