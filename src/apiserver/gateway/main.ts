import { ExecPathError } from '../../common/errors.ts';
import { type ClientConfig, createTransport, KubeClient } from '../../kubeapi/index.ts';
import type { ConnectHandler } from '../connect-request.ts';
import type { LocationOptions } from '../pod-location.ts';
import { allowedOriginsOf, authenticatorOf, type Serving, type ServingOptions, serveRequests } from '../serving.ts';
import { AccessReviews } from './access-reviews.ts';
import { Impersonating, PassingOn, type UpstreamCredentials } from './caller-identity.ts';
import { Gateway } from './gateway.ts';

export interface GatewayServerOptions extends ServingOptions {
  /** `--upstream-kubeconfig`: the cluster, and who we are to it. */
  readonly upstream: ClientConfig;
  /** `--upstream-credentials`; default `impersonate`. */
  readonly upstreamCredentials?: UpstreamCredentials;
  /**
   * `--upstream-streams=kubelet`: serves exec, attach and port-forward past the cluster's apiserver. Needs `impersonate`.
   * Default: they go to the cluster's apiserver.
   */
  readonly onConnect?: ConnectHandler;
  readonly location?: LocationOptions;
}

/** A running gateway. */
export interface GatewayServer extends Pick<Serving, 'address' | 'insecureAddress'>, AsyncDisposable {
  /** Ends what lasts, lets requests finish for the grace, then leaves no socket. Twice is once. */
  close(): Promise<void>;
}

/**
 * Starts an apiserver that stands before the one of a cluster. The cluster need not be there yet.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for options that do not go together, ERR_CERTIFICATE, ERR_LISTEN
 */
export async function startGateway(options: GatewayServerOptions): Promise<GatewayServer> {
  const { upstream, upstreamCredentials = 'impersonate', onConnect } = options;
  if (onConnect !== undefined && upstreamCredentials === 'caller') {
    const message =
      'streams go to kubelets only with --upstream-credentials=impersonate: the cluster is asked what a caller may do, by its name';
    throw new ExecPathError('ERR_BAD_REQUEST', message, { hop: 'apiserver' });
  }
  const transport = createTransport(upstream);
  const client = new KubeClient(transport);
  const reviews = new AccessReviews(client);
  const gateway = new Gateway({
    identities:
      upstreamCredentials === 'caller'
        ? new PassingOn(upstream)
        : new Impersonating(transport, authenticatorOf(options), reviews),
    client,
    ...(onConnect === undefined ? {} : { kubelets: { reviews, onConnect, location: options.location ?? {} } }),
    maxRequestsInFlight: options.maxRequestsInFlight,
    answerTimeoutMs: options.requestTimeoutMs,
    allowedOrigins: allowedOriginsOf(options),
  });
  let serving: Serving | undefined;
  const stop = async (): Promise<void> => {
    gateway.close();
    await serving?.close();
  };
  try {
    serving = await serveRequests(options, gateway);
  } catch (error) {
    await stop();
    throw error;
  }
  let stopped: Promise<void> | undefined;
  const close = (): Promise<void> => (stopped ??= stop());
  const { address, insecureAddress } = serving;
  return { address, insecureAddress, close, [Symbol.asyncDispose]: close };
}
