import { ContainerState, type ContainerStatus as CriContainerStatus } from '../cri/index.ts';
import type { Container, Pod } from '../kubeapi/index.ts';
import { hasExited, type ObservedPod } from './pod-observer.ts';

/** An init container that stays beside the containers. */
export function isSidecar({ restartPolicy }: Container): boolean {
  return restartPolicy === 'Always';
}

/** The init containers of a pod, none when it names none. */
export function initContainersOf({ spec }: Pod): readonly Container[] {
  return spec.initContainers ?? [];
}

/**
 * True when an init container has done its part: ended with 0, or, a sidecar, begun. In a new sandbox each has to do it
 * again.
 */
export function isInitDone(container: Container, observed: ObservedPod | undefined): boolean {
  const status = statusHere(container, observed);
  if (status === undefined) return false;
  if (isSidecar(container)) return status.state === ContainerState.CONTAINER_RUNNING || hasExited(status);
  return hasExited(status) && status.exitCode === 0;
}

/** True when all init containers have done their part, or containers that came behind them have begun. */
export function isInitialized(pod: Pod, observed: ObservedPod | undefined): boolean {
  const hasBegun = pod.spec.containers.some((container) => statusHere(container, observed) !== undefined);
  return hasBegun || initContainersOf(pod).every((container) => isInitDone(container, observed));
}

/** An init container that failed in a pod that never restarts: nothing follows. */
export function failedInit(pod: Pod, observed: ObservedPod | undefined): Container | undefined {
  if (pod.spec.restartPolicy !== 'Never') return undefined;
  return initContainersOf(pod).find((container) => {
    const status = observed?.statuses.get(container.name);
    return !isSidecar(container) && status !== undefined && hasExited(status) && status.exitCode !== 0;
  });
}

/** The status of a container when it belongs to the pod's present sandbox. */
function statusHere({ name }: Container, observed: ObservedPod | undefined): CriContainerStatus | undefined {
  const isHere = observed?.containers.get(name)?.podSandboxId === observed?.sandbox.id;
  return isHere ? observed?.statuses.get(name) : undefined;
}
