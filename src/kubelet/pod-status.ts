import { type ContainerStatus as CriContainerStatus, ContainerState as CriState } from '../cri/index.ts';
import {
  type Condition,
  type Container,
  type ContainerState,
  type ContainerStatus,
  type Pod,
  type PodPhase,
  type PodStatus,
  qosClassOf,
} from '../kubeapi/index.ts';
import { failedInit, initContainersOf, isInitDone, isInitialized, isSidecar } from './init-containers.ts';
import { closedGates, foreignConditions } from './pod-conditions.ts';
import { allContainersOf, ephemeralContainersOf } from './pod-containers.ts';
import type { ObservedPod } from './pod-observer.ts';
import { withinShare } from './termination-message.ts';

export interface StatusContext {
  readonly hostIP: string;
  /** The runtime's name, the scheme of `containerID`. */
  readonly runtimeName: string;
  /** Why containers that do not exist yet are not running; by name. */
  readonly waiting?: ReadonlyMap<string, { readonly reason: string; readonly message?: string }>;
  readonly now: Date;
}

interface ContainerContext extends StatusContext {
  /** How many the pod has, of every kind. */
  readonly containers: number;
}

/**
 * v1.PodStatus of `pod` from what the runtime shows of it; `observed` is undefined before there is a sandbox. Conditions
 * that others have set stay as `pod` has them.
 *
 * A pod that was over stays as it was once the runtime has forgotten how its containers ended.
 */
export function podStatus(pod: Pod, observed: ObservedPod | undefined, given: StatusContext): PodStatus {
  const context = { ...given, containers: allContainersOf(pod).length };
  const isOver = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  if (isOver && pod.status && !pod.spec.containers.every(({ name }) => observed?.statuses.has(name))) return pod.status;
  const idle = initContainersOf(pod).length > 0 ? 'PodInitializing' : 'ContainerCreating';
  const containerStatuses = pod.spec.containers.map((container) => containerStatus(container, observed, context, idle));
  const initContainerStatuses = initContainersOf(pod).map((container) => initStatus(container, observed, context));
  const ephemeralContainerStatuses = ephemeralContainersOf(pod).map((container) =>
    ephemeralStatus(container, observed, context, idle),
  );
  const initialized = isInitialized(pod, observed);
  const phase = phaseOf(pod, observed, containerStatuses);
  const allReady =
    phase === 'Running' &&
    [...containerStatuses, ...sidecarsIn(pod, initContainerStatuses)].every(({ ready }) => ready);
  const sandboxReady = observed?.ready === true;
  const ips =
    observed?.hostNetwork === true || pod.spec.hostNetwork === true ? [context.hostIP] : (observed?.ips ?? []);
  const before = new Map((pod.status?.conditions ?? []).map((condition) => [condition.type, condition]));
  const condition = (type: string, holds: boolean, reason?: string, message?: string): Condition => {
    const status = holds ? 'True' : 'False';
    const known = before.get(type);
    const since = known?.status === status ? known.lastTransitionTime : undefined;
    const why = holds || reason === undefined ? {} : { reason, ...(message === undefined ? {} : { message }) };
    return { type, status, ...why, lastTransitionTime: since ?? timestamp(context.now) };
  };
  const notReady = phase === 'Succeeded' ? 'PodCompleted' : 'ContainersNotReady';
  const closed = closedGates(pod);
  const unready = containerStatuses.filter(({ ready }) => !ready).map(({ name }) => name);
  const unreadyText = phase === 'Succeeded' ? undefined : `containers with unready status: [${unready.join(' ')}]`;
  const incomplete = initContainersOf(pod)
    .filter((container) => !isInitDone(container, observed))
    .map(({ name }) => name);
  const incompleteText = `containers with incomplete status: [${incomplete.join(' ')}]`;
  return {
    phase,
    conditions: [
      ...foreignConditions(pod.status ?? {}),
      condition('PodReadyToStartContainers', sandboxReady),
      condition('Initialized', initialized, 'ContainersNotInitialized', incompleteText),
      allReady && closed !== undefined
        ? condition('Ready', false, 'ReadinessGatesNotReady', closed)
        : condition('Ready', allReady, notReady, unreadyText),
      condition('ContainersReady', allReady, notReady, unreadyText),
      condition('PodScheduled', true),
    ],
    hostIP: context.hostIP,
    hostIPs: [{ ip: context.hostIP }],
    ...(ips[0] === undefined ? {} : { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) }),
    startTime:
      pod.status?.startTime ?? (observed ? timestamp(nanoseconds(observed.sandbox.createdAt)) : timestamp(context.now)),
    qosClass: pod.status?.qosClass ?? qosClassOf(pod.spec),
    ...(initContainerStatuses.length === 0 ? {} : { initContainerStatuses }),
    containerStatuses,
    ...(ephemeralContainerStatuses.length === 0 ? {} : { ephemeralContainerStatuses }),
  };
}

function containerStatus(
  container: Container,
  observed: ObservedPod | undefined,
  { runtimeName, waiting, containers }: ContainerContext,
  idle = 'ContainerCreating',
): ContainerStatus {
  const status = observed?.statuses.get(container.name);
  const pending = waiting?.get(container.name);
  if (status === undefined) {
    const state = { waiting: pending ?? { reason: idle } };
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
  const state = stateOf(status, runtimeName, containers);
  const backingOff = pending !== undefined && state.terminated !== undefined;
  const running = state.running !== undefined;
  const previous = observed?.previousStatuses.get(container.name);
  const before = backingOff ? state : previous && stateOf(previous, runtimeName, containers);
  return {
    name: container.name,
    state: backingOff ? { waiting: pending } : state,
    ...(before === undefined ? {} : { lastState: before }),
    ready: running,
    started: running,
    restartCount: status.metadata?.attempt ?? 0,
    image: status.image?.image || (container.image ?? ''),
    imageID: status.imageRef,
    containerID: `${runtimeName}://${status.id}`,
  };
}

/** An init container is ready when it has done its part. */
function initStatus(
  container: Container,
  observed: ObservedPod | undefined,
  context: ContainerContext,
): ContainerStatus {
  const status = containerStatus(container, observed, context, 'PodInitializing');
  return isSidecar(container) ? status : { ...status, ready: status.state?.terminated?.exitCode === 0, started: false };
}

/** An ephemeral container is never ready. */
function ephemeralStatus(
  container: Container,
  observed: ObservedPod | undefined,
  context: ContainerContext,
  idle: string,
): ContainerStatus {
  const { started: _, ...status } = containerStatus(container, observed, context, idle);
  return { ...status, ready: false };
}

function sidecarsIn(pod: Pod, statuses: readonly ContainerStatus[]): readonly ContainerStatus[] {
  const sidecars = new Set(
    initContainersOf(pod)
      .filter(isSidecar)
      .map(({ name }) => name),
  );
  return statuses.filter(({ name }) => sidecars.has(name));
}

function phaseOf(pod: Pod, observed: ObservedPod | undefined, statuses: readonly ContainerStatus[]): PodPhase {
  if (failedInit(pod, observed) !== undefined) return 'Failed';
  return isInitialized(pod, observed) ? podPhase(pod, statuses) : 'Pending';
}

/** @param containers how many the pod has */
function stateOf(status: CriContainerStatus, runtimeName: string, containers: number): ContainerState {
  const message = withinShare(status.message, containers);
  const startedAt = status.startedAt > 0n ? timestamp(nanoseconds(status.startedAt)) : null;
  switch (status.state) {
    case CriState.CONTAINER_RUNNING:
      return { running: { startedAt } };
    case CriState.CONTAINER_EXITED:
      return {
        terminated: {
          exitCode: status.exitCode,
          reason: status.reason || (status.exitCode === 0 ? 'Completed' : 'Error'),
          ...(message === '' ? {} : { message }),
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
