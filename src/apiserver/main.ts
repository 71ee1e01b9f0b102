import type { NodeAddressType } from '../kubeapi/index.ts';
import type { Store } from '../store/index.ts';
import { MemoryStore } from '../store/index.ts';
import { type Authorizer, alwaysAllow, firstOpinionOf } from './authorization.ts';
import { builtinAuthorizer } from './builtin-authorizer.ts';
import type { ConnectHandler } from './connect-request.ts';
import { type ControllerName, type ControllersOptions, controllerNames, startControllers } from './controllers.ts';
import { Discovery } from './discovery.ts';
import { nodeAuthorizer } from './node-authorizer.ts';
import { ObjectRoutes } from './object-routes.ts';
import { PathRoutes } from './path-routes.ts';
import { PodLogs } from './pod-logs.ts';
import { Registry } from './registry.ts';
import { RequestChain, type RequestChainOptions } from './request-chain.ts';
import { allResources } from './resources.ts';
import { ReviewRoutes } from './review-routes.ts';
import { allowedOriginsOf, authenticatorOf, type Serving, type ServingOptions, serveRequests } from './serving.ts';
import type { DialKubelet } from './streaming-route.ts';

/**
 * What `podwire apiserver` can be told. A field bears the name of kube-apiserver's flag in camel case, with the unit
 * where it has one; those that podwire alone has say so.
 */
export interface ApiserverOptions extends ServingOptions {
  /** `--authorization-mode`; default `BuiltIn`, podwire's own: masters everything, nodes their own, others discovery. */
  readonly authorizationMode?: 'BuiltIn' | 'AlwaysAllow';
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
  /** Where objects are kept; it stays open afterwards. Default: the memory of this process. */
  readonly store?: Store;
  /** Dials a node's kubelet, for logs. Default: they are answered with 501. */
  readonly dialKubelet?: DialKubelet;
  /** Serves exec, attach and port-forward. Default: they are answered with 501. */
  readonly onConnect?: ConnectHandler;
  /** `--controllers`: what it does beside serving. Default: all. */
  readonly controllers?: readonly ControllerName[];
  /** `--node-monitor-grace-period`: how long a node may be silent before it is not ready; default 50 s. */
  readonly nodeMonitorGraceMs?: number;
  /** `--node-monitor-period`: how often it is looked; default 5 s. */
  readonly nodeMonitorPeriodMs?: number;
}

/** A running apiserver. */
export interface Apiserver extends Pick<Serving, 'address' | 'insecureAddress'>, AsyncDisposable {
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
  const store = options.store ?? new MemoryStore({ firstRevision: Date.now() });
  const registry = new Registry(store, allResources(options.eventTtlMs === undefined ? {} : options));
  const chain = new RequestChain(chainOptionsOf(registry, options));
  let serving: Serving | undefined;
  let stopControllers: (() => Promise<void>) | undefined;
  const stop = async (): Promise<void> => {
    chain.close();
    await stopControllers?.();
    await serving?.close();
    if (options.store === undefined) await store.close();
  };
  try {
    await registry.createLastingNamespaces();
    serving = await serveRequests(options, chain);
    stopControllers = startControllers(registry, controllersOptionsOf(options));
    let stopped: Promise<void> | undefined;
    const close = (): Promise<void> => (stopped ??= stop());
    const { address, insecureAddress } = serving;
    return { address, insecureAddress, registry, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await stop();
    throw error;
  }
}

function controllersOptionsOf(options: ApiserverOptions): ControllersOptions {
  const { controllers = controllerNames, nodeMonitorGraceMs, nodeMonitorPeriodMs, onProblem = () => {} } = options;
  return {
    names: controllers,
    ...(nodeMonitorGraceMs === undefined ? {} : { graceMs: nodeMonitorGraceMs }),
    ...(nodeMonitorPeriodMs === undefined ? {} : { periodMs: nodeMonitorPeriodMs }),
    onProblem,
  };
}

function chainOptionsOf(registry: Registry, options: ApiserverOptions): RequestChainOptions {
  const { requestTimeoutMs, minRequestTimeoutMs, watchStallMs } = options;
  const authenticator = authenticatorOf(options);
  const authorizer = authorizerOf(registry, options);
  const body = requestTimeoutMs === undefined ? {} : { timeoutMs: requestTimeoutMs };
  const watch = {
    ...(minRequestTimeoutMs === undefined ? {} : { minWatchMs: minRequestTimeoutMs }),
    ...(watchStallMs === undefined ? {} : { stallMs: watchStallMs }),
  };
  const location = {
    ...(options.kubeletPort === undefined ? {} : { kubeletPort: options.kubeletPort }),
    ...(options.kubeletPreferredAddressTypes === undefined
      ? {}
      : { preferredAddressTypes: options.kubeletPreferredAddressTypes }),
  };
  return {
    authenticator,
    authorizer,
    routes: {
      registry,
      paths: new PathRoutes(new Discovery(registry.resources)),
      objects: new ObjectRoutes({ registry, body, watch }),
      reviews: new ReviewRoutes({ authenticator, authorizer, body }),
      logs: new PodLogs({ registry, location, dialKubelet: options.dialKubelet }),
    },
    location,
    onConnect: options.onConnect,
    maxRequestsInFlight: options.maxRequestsInFlight,
    allowedOrigins: allowedOriginsOf(options),
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
