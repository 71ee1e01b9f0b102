import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { toError } from '../common/errors.ts';
import { type Container, ContainerState, type CriClient, grpcCodes, RuntimeCallError } from '../cri/index.ts';
import type { ContainerStatus } from '../kubeapi/index.ts';
import { LogQueryError, parseLogQuery } from './log-query.ts';
import { copyLog } from './log-reader.ts';
import type { PodView, RuntimeView } from './runtime-view.ts';
import type { NodePod, SyncLoop } from './sync-loop.ts';

export interface LogTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

export interface LogContext {
  readonly cri: CriClient;
  readonly view: RuntimeView;
  readonly loop: Pick<SyncLoop, 'pods'>;
  readonly signal: AbortSignal;
}

/** An answer that is no log, with upstream's status and text. */
class LogRefusal extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

/**
 * Answers `/containerLogs/NS/POD/CONTAINER`.
 *
 * @throws RuntimeCallError when the runtime cannot be asked
 * @see http-surfaces.md 1.4 and 6
 */
export async function serveLogs(
  target: LogTarget,
  params: URLSearchParams,
  response: ServerResponse,
  context: LogContext,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const signal = AbortSignal.any([gone.signal, context.signal]);
  let found: Container;
  try {
    const query = parseLogQuery(params);
    found = await findContainer(target, query.previous, context);
    response.writeHead(200, { 'Content-Type': 'text/plain', 'X-Content-Type-Options': 'nosniff' });
    response.flushHeaders();
    const status = await statusOf(context.cri, found.id);
    if (status === undefined || status.logPath === '') throw new Error(unreadable(context, found.id));
    await copyLog({
      path: status.logPath,
      query,
      signal,
      write: async (bytes) => {
        if (!response.write(bytes) && !signal.aborted) await once(response, 'drain', { signal }).catch(() => {});
      },
      isOver: async () => (await statusOf(context.cri, found.id))?.state !== ContainerState.CONTAINER_RUNNING,
    });
    response.end();
  } catch (thrown) {
    if (response.headersSent) response.end(signal.aborted ? undefined : toError(thrown).message);
    else if (thrown instanceof LogRefusal || thrown instanceof LogQueryError) {
      response.writeHead(thrown.status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(thrown.message);
    } else throw thrown;
  }
}

/** @throws LogRefusal */
async function findContainer(target: LogTarget, previous: boolean, { view, loop }: LogContext): Promise<Container> {
  const { namespace, pod: podName, container: name } = target;
  const known = loop.pods.find(({ pod }) => pod.metadata.namespace === namespace && pod.metadata.name === podName);
  const seen = await view.find({ namespace, pod: podName, uid: known?.pod.metadata.uid });
  if (known === undefined && seen === undefined) throw new LogRefusal(404, `pod "${podName}" does not exist`);
  const status = statusIn(known, name);
  if (status === undefined && seen?.containers.get(name) === undefined) {
    throw new LogRefusal(404, `container "${name}" not found in pod "${podName}"`);
  }
  const found = previous ? previousOf(seen, name, status) : newestStarted(seen, name);
  if (previous && found === undefined) {
    throw new LogRefusal(400, `previous terminated container "${name}" in pod "${podName}" not found`);
  }
  if (found === undefined) {
    throw new LogRefusal(400, waitingText(name, podName, status?.state?.waiting?.reason));
  }
  return found;
}

function statusIn(known: NodePod | undefined, name: string): ContainerStatus | undefined {
  return known && allStatusesOf(known).find((one) => one.name === name);
}

function allStatusesOf({ pod }: NodePod): readonly ContainerStatus[] {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = pod.status;
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses];
}

/** An attempt that is made and not started has said nothing: what ended before it is what there is to read. */
function newestStarted(seen: PodView | undefined, name: string): Container | undefined {
  const newest = seen?.containers.get(name);
  return newest?.state === ContainerState.CONTAINER_CREATED ? lastExited(seen, name) : newest;
}

/** While a container waits for its next start, the one that ended is the one before. */
function previousOf(
  seen: PodView | undefined,
  name: string,
  status: ContainerStatus | undefined,
): Container | undefined {
  const isWaiting = status?.state?.waiting !== undefined && status.lastState?.terminated !== undefined;
  if (isWaiting) return seen?.containers.get(name);
  return lastExited(seen, name);
}

/** Of the attempts before the newest. */
function lastExited(seen: PodView | undefined, name: string): Container | undefined {
  return seen?.olderContainers.findLast(
    ({ metadata, state }) => metadata?.name === name && state === ContainerState.CONTAINER_EXITED,
  );
}

function waitingText(container: string, pod: string, reason = 'ContainerCreating'): string {
  const why =
    reason === 'ErrImagePull'
      ? "image can't be pulled"
      : reason === 'ImagePullBackOff'
        ? 'trying and failing to pull image'
        : reason;
  return `container "${container}" in pod "${pod}" is waiting to start: ${why}`;
}

async function statusOf(
  cri: CriClient,
  containerId: string,
): Promise<{ readonly logPath: string; readonly state: ContainerState } | undefined> {
  try {
    return (await cri.runtime.containerStatus({ containerId })).status;
  } catch (thrown) {
    // A runtime that is away for a moment has not ended the container.
    if (thrown instanceof RuntimeCallError && thrown.grpcCode === grpcCodes.Unavailable) {
      return { logPath: '', state: ContainerState.CONTAINER_RUNNING };
    }
    return undefined;
  }
}

function unreadable({ loop }: LogContext, id: string): string {
  const scheme = loop.pods
    .flatMap(allStatusesOf)
    .find(({ containerID }) => containerID?.endsWith(id))
    ?.containerID?.split('://')[0];
  return `unable to retrieve container logs for ${scheme ?? 'containerd'}://${id}`;
}
