import type { Socket } from 'node:net';
import { ExecPathError } from '../common/errors.ts';
import { type Listener, listen, type TlsSource } from '../httpstream/index.ts';
import { Authenticator, TokenFile } from '../identity/index.ts';
import type { NodeAddressType } from '../kubeapi/index.ts';
import { ReloadingTls } from '../pki/index.ts';
import type { Store } from '../store/index.ts';
import { MemoryStore } from '../store/index.ts';
import { type Authorizer, alwaysAllow, firstOpinionOf } from './authorization.ts';
import { builtinAuthorizer } from './builtin-authorizer.ts';
import type { ConnectHandler } from './connect-request.ts';
import { Discovery } from './discovery.ts';
import { nodeAuthorizer } from './node-authorizer.ts';
import { ObjectRoutes } from './object-routes.ts';
import { PathRoutes } from './path-routes.ts';
import { Registry } from './registry.ts';
import { RequestChain, type RequestChainOptions } from './request-chain.ts';
import { allResources } from './resources.ts';
import { ReviewRoutes } from './review-routes.ts';

const LOOPBACK = '127.0.0.1';

/** `--secure-port` */
export const SECURE_PORT = 6443;

/**
 * What `podwire apiserver` can be told. A field bears the name of kube-apiserver's flag in camel case, with the unit
 * where it has one; those that podwire alone has say so.
 */
export interface ApiserverOptions {
  /** `--bind-address`; default 127.0.0.1. */
  readonly bindAddress?: string;
  /** `--secure-port` for https; default {@link SECURE_PORT}, 0 for any free one. */
  readonly securePort?: number;
  /** `--tls-cert-file`: PEM, read again when it changes. Needed unless `insecurePort` is set. */
  readonly tlsCertFile?: string;
  /** `--tls-private-key-file`: PEM, read again when it changes. */
  readonly tlsPrivateKeyFile?: string;
  /** `--client-ca-file`: PEM, read again when it changes. Whom it vouches for is known by certificate: CN and O. */
  readonly clientCaFile?: string;
  /** `--token-auth-file`: CSV `token,user,uid,"group1,group2"`, read again when it changes. */
  readonly tokenAuthFile?: string;
  /** `--anonymous-auth`; default false. */
  readonly anonymousAuth?: boolean;
  /** `--authorization-mode`; default `BuiltIn`, podwire's own: masters everything, nodes their own, others discovery. */
  readonly authorizationMode?: 'BuiltIn' | 'AlwaysAllow';
  /** podwire's own: plain http on this port of 127.0.0.1, with the same authentication. Default: none; 0: any free one. */
  readonly insecurePort?: number;
  /** `--kubelet-preferred-address-types` */
  readonly kubeletPreferredAddressTypes?: readonly NodeAddressType[];
  /** `--kubelet-port`, for nodes that do not name theirs; default 10250. */
  readonly kubeletPort?: number;
  /** `--event-ttl`; default 1 h. */
  readonly eventTtlMs?: number;
  /** `--min-request-timeout`: how long a watch lasts that names no time, at least; default 30 min. */
  readonly minRequestTimeoutMs?: number;
  /** podwire's own: how long a watcher may leave what was sent unread before it is dropped; default 60 s. */
  readonly watchStallMs?: number;
  /** `--request-timeout`, of which the head may take all and the body too; default 30 s. */
  readonly requestTimeoutMs?: number;
  /** `--max-requests-inflight`; default 400, watches and sessions not counted. */
  readonly maxRequestsInFlight?: number;
  /** `--cors-allowed-origins`: regular expressions for the whole `Origin` of pages that may open sessions. Default: none. */
  readonly corsAllowedOrigins?: readonly string[];
  /** podwire's own: how long a stop lets requests and sessions finish. Default 5 s. */
  readonly shutdownGraceMs?: number;
  /** Where objects are kept; it stays open afterwards. Default: the memory of this process. */
  readonly store?: Store;
  /** Serves exec, attach and port-forward. Default: they are answered with 501. */
  readonly onConnect?: ConnectHandler;
  /** Told of what went wrong in the background, such as a certificate file that cannot be read any more. */
  readonly onProblem?: (problem: Error) => void;
}

/** A running apiserver. */
export interface Apiserver extends AsyncDisposable {
  /** Where it listens for https; undefined when it serves plain http alone. */
  readonly address: { readonly host: string; readonly port: number; readonly url: string } | undefined;
  /** Where it listens for plain http. */
  readonly insecureAddress: { readonly host: string; readonly port: number; readonly url: string } | undefined;
  readonly registry: Registry;
  /**
   * Ends watches, tells sessions, lets requests finish for the grace, then leaves no socket. Twice is once.
   */
  close(): Promise<void>;
}

/**
 * Starts an apiserver; it is ready when this resolves.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for options that do not go together, ERR_CERTIFICATE, ERR_LISTEN
 */
export async function startApiserver(options: ApiserverOptions = {}): Promise<Apiserver> {
  validate(options);
  const store = options.store ?? new MemoryStore({ firstRevision: Date.now() });
  const registry = new Registry(store, allResources(options.eventTtlMs === undefined ? {} : options));
  const chain = new RequestChain(chainOptionsOf(registry, options));
  const listeners: Listener[] = [];
  let tls: ReloadingTls | undefined;
  const stop = async (): Promise<void> => {
    chain.close();
    await Promise.all(listeners.map((listener) => listener.close(options.shutdownGraceMs)));
    tls?.close();
    if (options.store === undefined) await store.close();
  };
  const listenAt = async (host: string, port: number, source?: TlsSource): Promise<Listener> => {
    const listener = await listen({
      host,
      port,
      ...(source === undefined ? {} : { tls: source }),
      ...(options.requestTimeoutMs === undefined ? {} : { headersTimeoutMs: options.requestTimeoutMs }),
      onRequest: (request, response) => chain.onRequest(request, response),
      onUpgrade: (request, socket, head) => chain.onUpgrade(request, socket as Socket, head),
    });
    listeners.push(listener);
    return listener;
  };
  try {
    await registry.createLastingNamespaces();
    tls = await loadTls(options);
    const { bindAddress = LOOPBACK, securePort = SECURE_PORT, insecurePort } = options;
    const address = tls === undefined ? undefined : await listenAt(bindAddress, securePort, tls);
    const insecureAddress = insecurePort === undefined ? undefined : await listenAt(LOOPBACK, insecurePort);
    let stopped: Promise<void> | undefined;
    const close = (): Promise<void> => (stopped ??= stop());
    return { address, insecureAddress, registry, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await stop();
    throw error;
  }
}

function validate(options: ApiserverOptions): void {
  const { tlsCertFile, tlsPrivateKeyFile, clientCaFile, insecurePort } = options;
  const refuse = (message: string): Error => new ExecPathError('ERR_BAD_REQUEST', message, { hop: 'apiserver' });
  if ((tlsCertFile === undefined) !== (tlsPrivateKeyFile === undefined)) {
    throw refuse('--tls-cert-file and --tls-private-key-file go together: give both or none');
  }
  if (tlsCertFile === undefined && insecurePort === undefined) {
    throw refuse('an apiserver needs --tls-cert-file and --tls-private-key-file, or --insecure-port');
  }
  if (tlsCertFile === undefined && clientCaFile !== undefined) {
    throw refuse('--client-ca-file needs --tls-cert-file: client certificates come with TLS alone');
  }
}

function chainOptionsOf(registry: Registry, options: ApiserverOptions): RequestChainOptions {
  const { tokenAuthFile, onProblem = () => {}, requestTimeoutMs, minRequestTimeoutMs, watchStallMs } = options;
  const tokens = tokenAuthFile === undefined ? [] : [new TokenFile(tokenAuthFile, onProblem)];
  const authenticator = new Authenticator({ tokens, anonymousAuth: options.anonymousAuth ?? false, hop: 'apiserver' });
  const authorizer = authorizerOf(registry, options);
  const body = requestTimeoutMs === undefined ? {} : { timeoutMs: requestTimeoutMs };
  const watch = {
    ...(minRequestTimeoutMs === undefined ? {} : { minWatchMs: minRequestTimeoutMs }),
    ...(watchStallMs === undefined ? {} : { stallMs: watchStallMs }),
  };
  return {
    authenticator,
    authorizer,
    routes: {
      registry,
      paths: new PathRoutes(new Discovery(registry.resources)),
      objects: new ObjectRoutes({ registry, body, watch }),
      reviews: new ReviewRoutes({ authenticator, authorizer, body }),
    },
    location: {
      ...(options.kubeletPort === undefined ? {} : { kubeletPort: options.kubeletPort }),
      ...(options.kubeletPreferredAddressTypes === undefined
        ? {}
        : { preferredAddressTypes: options.kubeletPreferredAddressTypes }),
    },
    onConnect: options.onConnect,
    maxRequestsInFlight: options.maxRequestsInFlight,
    allowedOrigins: (options.corsAllowedOrigins ?? []).map(patternOf),
  };
}

function authorizerOf(registry: Registry, { authorizationMode = 'BuiltIn' }: ApiserverOptions): Authorizer {
  switch (authorizationMode) {
    case 'AlwaysAllow':
      return alwaysAllow;
    case 'BuiltIn':
      return firstOpinionOf([builtinAuthorizer, nodeAuthorizer(registry)]);
  }
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text, 'i');
  } catch (cause) {
    const message = `--cors-allowed-origins ${JSON.stringify(text)} is not a regular expression`;
    throw new ExecPathError('ERR_BAD_REQUEST', message, { cause, hop: 'apiserver' });
  }
}

async function loadTls(options: ApiserverOptions): Promise<ReloadingTls | undefined> {
  if (options.tlsCertFile === undefined) return undefined;
  const files = {
    certificateFile: options.tlsCertFile,
    keyFile: options.tlsPrivateKeyFile,
    caFile: options.clientCaFile,
  };
  return await ReloadingTls.load(files, options.onProblem === undefined ? {} : { onError: options.onProblem });
}
