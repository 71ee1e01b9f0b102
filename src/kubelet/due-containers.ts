import type { Container, Pod } from '../kubeapi/index.ts';
import { failedInit, initContainersOf, isInitDone, isInitialized, isSidecar } from './init-containers.ts';
import { ephemeralContainersOf } from './pod-containers.ts';
import { hasExited, type ObservedPod } from './pod-observer.ts';

/** A container whose turn it is. */
export interface DueContainer {
  readonly container: Container;
  readonly isEphemeral: boolean;
}

/** Ephemeral containers come first, in a pod that is there: they are to help with what keeps the others waiting. */
export function dueContainers(pod: Pod, observed: ObservedPod | undefined): readonly DueContainer[] {
  const ephemeral = observed?.ready === true ? ephemeralContainersOf(pod) : [];
  return [
    ...ephemeral.map((container) => ({ container, isEphemeral: true })),
    ...dueInOrder(pod, observed).map((container) => ({ container, isEphemeral: false })),
  ];
}

/** Init containers one after the other, with the sidecars before them, then all sidecars and containers. */
function dueInOrder(pod: Pod, observed: ObservedPod | undefined): readonly Container[] {
  const inits = initContainersOf(pod);
  if (isInitialized(pod, observed)) return [...inits.filter(isSidecar), ...pod.spec.containers];
  const at = inits.findIndex((container) => !isInitDone(container, observed));
  return inits.filter((container, index) => index === at || (index < at && isSidecar(container)));
}

/** Whether it has to be over before the pod's containers begin, or is a sidecar. */
export function isInit(pod: Pod, { name }: Container): boolean {
  return initContainersOf(pod).some((container) => container.name === name);
}

/** A sidecar always starts again; one that has failed in a pod that may restart; one that did its part in an older sandbox. */
export function restartsInit(pod: Pod, observed: ObservedPod | undefined, container: Container): boolean {
  if (isSidecar(container)) return true;
  return !isInitDone(container, observed) && failedInit(pod, observed) === undefined;
}

/** Whether what ended so is to run again. */
export function restarts(pod: Pod, exitCode: number): boolean {
  const policy = pod.spec.restartPolicy ?? 'Always';
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

/** All containers ended and none is to run again. */
export function isOver(pod: Pod, observed: ObservedPod | undefined): boolean {
  if (failedInit(pod, observed) !== undefined) return true;
  return pod.spec.containers.every(({ name }) => {
    const status = observed?.statuses.get(name);
    return status !== undefined && hasExited(status) && !restarts(pod, status.exitCode);
  });
}
