import { ExecPathError, errorTable, toError } from '../common/errors.ts';
import { ContainerState, grpcCodes, RuntimeCallError } from '../cri/index.ts';
import { ClientWatch, isWebSocketUpgrade, refuseUpgrade } from '../httpstream/index.ts';
import { parsePorts, tunnelProtocols } from '../portforward/index.ts';
import { isUpgrade } from '../remotecommand/index.ts';
import type { CommandStarter, RunningCommand, SessionEnd, Upgrade } from './running-command.ts';
import type { PodName, PodView, RuntimeView } from './runtime-view.ts';
import { streamOptionsOf } from './stream-options.ts';

/** Which container a streaming path names. */
export interface ContainerPath {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string | undefined;
  readonly container: string;
}

/** Which pod a port-forward's path names. */
export type PodPath = Omit<ContainerPath, 'container'>;

export interface StreamingRouteContext {
  readonly view: RuntimeView;
  readonly starter: CommandStarter;
  readonly sessionId: string;
  readonly signal: AbortSignal;
}

/**
 * `/exec/{namespace}/{pod}/[{uid}/]{container}`: stream options (400) → pod (404) → container (500) → CRI Exec → relay.
 *
 * Never rejects, as the others here: refusals are plain text with upstream's status codes (http-surfaces.md 1.4).
 */
export function serveExec(
  upgrade: Upgrade,
  path: ContainerPath,
  query: URLSearchParams,
  context: StreamingRouteContext,
): Promise<SessionEnd> {
  return serveStream(upgrade, context, async ({ view, starter }, session) => {
    const streams = streamOptionsOf(query);
    return await prepareIn(view, path, session.signal, async (pod) => {
      const containerId = runningContainer(pod, path.container);
      requireUpgrade(upgrade);
      return await starter.prepare({ containerId, argv: query.getAll('command'), streams, ...session });
    });
  });
}

/**
 * `/attach/{namespace}/{pod}/[{uid}/]{container}`: as exec, by CRI Attach.
 *
 * @param hasTty whether the container's spec says `tty`; undefined when the kubelet does not know it: then the client does
 */
export function serveAttach(
  upgrade: Upgrade,
  path: ContainerPath,
  query: URLSearchParams,
  context: StreamingRouteContext & { readonly hasTty: boolean | undefined },
): Promise<SessionEnd> {
  return serveStream(upgrade, context, async ({ view, starter }, session) => {
    const asked = streamOptionsOf(query);
    const tty = context.hasTty ?? asked.tty;
    const streams = { ...asked, tty, stderr: asked.stderr && !tty };
    return await prepareIn(view, path, session.signal, async (pod) => {
      const containerId = attachableContainer(pod, path);
      requireUpgrade(upgrade);
      return await starter.prepare({ containerId, argv: undefined, streams, ...session });
    });
  });
}

/**
 * `/portForward/{namespace}/{pod}/[{uid}]`: ports (400, the older WebSocket form alone) → pod (404) → CRI PortForward →
 * relay.
 */
export function servePodPorts(
  upgrade: Upgrade,
  path: PodPath,
  query: URLSearchParams,
  context: StreamingRouteContext,
): Promise<SessionEnd> {
  return serveStream(upgrade, context, async ({ view, starter }, session) => {
    const ports = portsOf(upgrade, query);
    return await prepareIn(view, { ...path, uid: undefined }, session.signal, async (pod) => {
      if (pod === undefined) throw new ExecPathError('ERR_POD_UNKNOWN', 'pod does not exist', { hop: 'kubelet' });
      if (path.uid !== undefined && pod.uid !== path.uid) {
        throw new ExecPathError('ERR_POD_UNKNOWN', 'pod not found', { hop: 'kubelet' });
      }
      requireUpgrade(upgrade);
      return await starter.prepareForward({ podSandboxId: pod.sandbox.id, ports, ...session });
    });
  });
}

/** Codes by which a runtime says that what it was asked for is not there any more; containerd has no better than Unknown. */
const goneCodes: ReadonlySet<number> = new Set([
  grpcCodes.NotFound,
  grpcCodes.FailedPrecondition,
  grpcCodes.Internal,
  grpcCodes.Unknown,
]);

/**
 * Prepares in the pod as it was last seen, which spares two lists of the runtime for each session; when that is not how
 * things are any more, looks anew. To prepare twice starts nothing twice: a command starts when its client connects.
 */
async function prepareIn(
  view: RuntimeView,
  name: PodName,
  signal: AbortSignal,
  prepare: (pod: PodView | undefined) => Promise<RunningCommand>,
): Promise<RunningCommand> {
  const seen = view.lastSeen(name);
  if (seen !== undefined) {
    try {
      return await prepare(seen);
    } catch (thrown) {
      if (signal.aborted || !maySeeGone(thrown)) throw thrown;
    }
  }
  return await prepare(await view.find(name, { signal }));
}

/** Might the failure come from having looked too long ago? */
function maySeeGone(thrown: unknown): boolean {
  if (thrown instanceof RuntimeCallError) return goneCodes.has(thrown.grpcCode);
  return (
    thrown instanceof ExecPathError && (thrown.code === 'ERR_POD_UNKNOWN' || thrown.code === 'ERR_CONTAINER_NOT_FOUND')
  );
}

type Prepare = (
  context: StreamingRouteContext,
  session: { readonly sessionId: string; readonly signal: AbortSignal },
) => Promise<RunningCommand>;

async function serveStream(upgrade: Upgrade, context: StreamingRouteContext, prepare: Prepare): Promise<SessionEnd> {
  const { sessionId, signal } = context;
  const watch = new ClientWatch(upgrade.socket);
  try {
    const command = await prepare(context, { sessionId, signal: AbortSignal.any([signal, watch.signal]) });
    watch.stop();
    return await command.serve(upgrade);
  } catch (thrown) {
    watch.stop();
    const { status, headers } = kubeletAnswer(thrown);
    const { message } = toError(thrown);
    refuseUpgrade(upgrade.socket, status, message, headers);
    return { how: `refused ${status}: ${message}` };
  }
}

/** @throws ExecPathError ERR_UPGRADE_REQUIRED */
function requireUpgrade({ request }: Upgrade): void {
  if (!isUpgrade(request)) throw new ExecPathError('ERR_UPGRADE_REQUIRED', 'Upgrade request required');
}

/** SPDY and the tunnel name their ports later. @throws ExecPathError ERR_BAD_REQUEST */
function portsOf({ request }: Upgrade, query: URLSearchParams): number[] {
  if (!isWebSocketUpgrade(request) || tunnelProtocols(request).length > 0) return [];
  const values = query.getAll('port').filter((value) => value !== '');
  if (values.length === 0) throw new ExecPathError('ERR_BAD_REQUEST', 'query parameter "port" is required');
  return parsePorts(values);
}

/** Upstream has other words for this than for exec. @throws ExecPathError ERR_POD_UNKNOWN, ERR_CONTAINER_NOT_FOUND */
function attachableContainer(pod: PodView | undefined, path: ContainerPath): string {
  try {
    return runningContainer(pod, path.container);
  } catch (cause) {
    if (pod === undefined) throw cause;
    const message = `container ${path.container} not found in pod ${path.pod}_${path.namespace}`;
    throw new ExecPathError('ERR_CONTAINER_NOT_FOUND', message, { cause, hop: 'kubelet' });
  }
}

/** @throws ExecPathError ERR_POD_UNKNOWN, ERR_CONTAINER_NOT_FOUND */
export function runningContainer(pod: PodView | undefined, name: string): string {
  if (pod === undefined) throw new ExecPathError('ERR_POD_UNKNOWN', 'pod does not exist', { hop: 'kubelet' });
  const container = pod.containers.get(name);
  if (container?.state !== ContainerState.CONTAINER_RUNNING) {
    throw new ExecPathError('ERR_CONTAINER_NOT_FOUND', `container not found (${JSON.stringify(name)})`, {
      hop: 'kubelet',
    });
  }
  return container.id;
}

/** The kubelet's HTTP status for anything thrown on the way to a stream. */
export function kubeletAnswer(thrown: unknown): { readonly status: number; readonly headers: [string, string][] } {
  if (thrown instanceof RuntimeCallError) {
    switch (thrown.grpcCode) {
      case grpcCodes.NotFound:
        return { status: 404, headers: [] };
      case grpcCodes.ResourceExhausted:
        return { status: 429, headers: [['Retry-After', '60']] };
      default:
        return { status: 500, headers: [] };
    }
  }
  // Upstream's kubelet says this one with 500, through its proxy's error responder.
  if (thrown instanceof ExecPathError && thrown.code !== 'ERR_UPGRADE_REQUIRED') {
    return { status: errorTable[thrown.code].http, headers: [] };
  }
  return { status: 500, headers: [] };
}
