import { ExecPathError, errorTable, toError } from '../common/errors.ts';
import { ContainerState, grpcCodes, RuntimeCallError } from '../cri/index.ts';
import { ClientWatch, refuseUpgrade } from '../httpstream/index.ts';
import { isUpgrade } from '../remotecommand/index.ts';
import type { CommandStarter, SessionEnd, Upgrade } from './running-command.ts';
import type { PodView, RuntimeView } from './runtime-view.ts';
import { streamOptionsOf } from './stream-options.ts';

/** Which container a streaming path names. */
export interface ContainerPath {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string | undefined;
  readonly container: string;
}

export interface ExecRouteContext {
  readonly view: RuntimeView;
  readonly starter: CommandStarter;
  readonly sessionId: string;
  readonly signal: AbortSignal;
}

/**
 * `/exec/{namespace}/{pod}/[{uid}/]{container}`: stream options (400) → pod (404) → container (500) → CRI Exec → relay.
 *
 * Never rejects: refusals are plain text with upstream's status codes (http-surfaces.md 1.4).
 */
export async function serveExec(
  upgrade: Upgrade,
  path: ContainerPath,
  query: URLSearchParams,
  { view, starter, sessionId, signal }: ExecRouteContext,
): Promise<SessionEnd> {
  const watch = new ClientWatch(upgrade.socket);
  const stop = AbortSignal.any([signal, watch.signal]);
  try {
    const streams = streamOptionsOf(query);
    const containerId = runningContainer(
      await view.find(path.namespace, path.pod, { uid: path.uid, signal: stop }),
      path.container,
    );
    if (!isUpgrade(upgrade.request)) throw new ExecPathError('ERR_UPGRADE_REQUIRED', 'Upgrade request required');
    const argv = query.getAll('command');
    const command = await starter.prepare({ containerId, argv, streams, sessionId, signal: stop });
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
