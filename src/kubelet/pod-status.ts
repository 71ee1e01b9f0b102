import { type ContainerStatus as CriContainerStatus, ContainerState as CriState } from '../cri/index.ts';
import type {
  Condition,
  Container,
  ContainerState,
  ContainerStatus,
  Pod,
  PodPhase,
  PodStatus,
} from '../kubeapi/index.ts';
import type { ObservedPod } from './pod-observer.ts';

export interface StatusContext {
  readonly hostIP: string;
  /** The runtime's name, the scheme of `containerID`. */
  readonly runtimeName: string;
  /** Why containers that do not exist yet are not running; by name. */
  readonly waiting?: ReadonlyMap<string, { readonly reason: string; readonly message?: string }>;
  readonly now: Date;
}

/**
 * v1.PodStatus of `pod` from what the runtime shows of it; `observed` is undefined before there is a sandbox.
 *
 * A pod that was over stays as it was once the runtime has forgotten how its containers ended.
 */
export function podStatus(pod: Pod, observed: ObservedPod | undefined, context: StatusContext): PodStatus {
  const isOver = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  if (isOver && pod.status && !pod.spec.containers.every(({ name }) => observed?.statuses.has(name))) return pod.status;
  const containerStatuses = pod.spec.containers.map((container) => containerStatus(container, observed, context));
  const phase = podPhase(pod, containerStatuses);
  const allReady = phase === 'Running' && containerStatuses.every(({ ready }) => ready);
  const sandboxReady = observed?.ready === true;
  const ips =
    observed?.hostNetwork === true || pod.spec.hostNetwork === true ? [context.hostIP] : (observed?.ips ?? []);
  const before = new Map((pod.status?.conditions ?? []).map((condition) => [condition.type, condition]));
  const condition = (type: string, holds: boolean, reason?: string): Condition => {
    const status = holds ? 'True' : 'False';
    const known = before.get(type);
    const since = known?.status === status ? known.lastTransitionTime : undefined;
    const why = holds || reason === undefined ? {} : { reason };
    return { type, status, ...why, lastTransitionTime: since ?? timestamp(context.now) };
  };
  const notReady = phase === 'Succeeded' ? 'PodCompleted' : 'ContainersNotReady';
  return {
    phase,
    conditions: [
      condition('PodReadyToStartContainers', sandboxReady),
      condition('Initialized', true),
      condition('Ready', allReady, notReady),
      condition('ContainersReady', allReady, notReady),
      condition('PodScheduled', true),
    ],
    hostIP: context.hostIP,
    hostIPs: [{ ip: context.hostIP }],
    ...(ips[0] === undefined ? {} : { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) }),
    startTime:
      pod.status?.startTime ?? (observed ? timestamp(nanoseconds(observed.sandbox.createdAt)) : timestamp(context.now)),
    qosClass: 'BestEffort',
    containerStatuses,
  };
}

function containerStatus(
  container: Container,
  observed: ObservedPod | undefined,
  { runtimeName, waiting }: StatusContext,
): ContainerStatus {
  const status = observed?.statuses.get(container.name);
  const pending = waiting?.get(container.name);
  if (status === undefined) {
    const state = { waiting: pending ?? { reason: 'ContainerCreating' } };
    return {
      name: container.name,
      state,
      ready: false,
      restartCount: 0,
      image: container.image ?? '',
      imageID: '',
      started: false,
    };
  }
  const state = stateOf(status, runtimeName);
  const backingOff = pending !== undefined && state.terminated !== undefined;
  const running = state.running !== undefined;
  return {
    name: container.name,
    state: backingOff ? { waiting: pending } : state,
    ...(backingOff ? { lastState: state } : {}),
    ready: running,
    started: running,
    restartCount: status.metadata?.attempt ?? 0,
    image: status.image?.image || (container.image ?? ''),
    imageID: status.imageRef,
    containerID: `${runtimeName}://${status.id}`,
  };
}

function stateOf(status: CriContainerStatus, runtimeName: string): ContainerState {
  const startedAt = status.startedAt > 0n ? timestamp(nanoseconds(status.startedAt)) : null;
  switch (status.state) {
    case CriState.CONTAINER_RUNNING:
      return { running: { startedAt } };
    case CriState.CONTAINER_EXITED:
      return {
        terminated: {
          exitCode: status.exitCode,
          reason: status.reason || (status.exitCode === 0 ? 'Completed' : 'Error'),
          ...(status.message === '' ? {} : { message: status.message }),
          startedAt,
          finishedAt: timestamp(nanoseconds(status.finishedAt)),
          containerID: `${runtimeName}://${status.id}`,
        },
      };
    case CriState.CONTAINER_CREATED:
    case CriState.CONTAINER_UNKNOWN:
      return { waiting: { reason: 'ContainerCreating' } };
  }
}

/**
 * Everything ended with 0 and no restart → Succeeded; everything ended, any non-zero, no restart → Failed; anything
 * running or to be restarted → Running; else Pending.
 */
function podPhase(pod: Pod, statuses: readonly ContainerStatus[]): PodPhase {
  const policy = pod.spec.restartPolicy ?? 'Always';
  const ends = statuses.map(({ state, lastState }) => state?.terminated ?? lastState?.terminated);
  const restarts = statuses.some(
    ({ state, lastState }, index) =>
      state?.running !== undefined ||
      (state?.waiting !== undefined && lastState?.terminated !== undefined) ||
      (ends[index] !== undefined && (policy === 'Always' || (policy === 'OnFailure' && ends[index]?.exitCode !== 0))),
  );
  if (statuses.some(({ state, lastState }) => state?.waiting !== undefined && lastState === undefined))
    return 'Pending';
  if (restarts) return 'Running';
  return ends.every((end) => end?.exitCode === 0) ? 'Succeeded' : 'Failed';
}

/** RFC 3339 in whole seconds, as metav1.Time. */
export function timestamp(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

function nanoseconds(since: bigint): Date {
  return new Date(Number(since / 1_000_000n));
}
