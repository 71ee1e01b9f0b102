import { rm } from 'node:fs/promises';
import { type Container, ContainerState, type CriServices } from '../cri/index.ts';
import type { PodView } from './runtime-view.ts';

/**
 * Removes what newer attempts of a pod that lives on have taken the place of: dead containers but the last one of each
 * name, whose log and exit code people still ask for, and sandboxes in which nothing that counts is left.
 *
 * @param filesOf an attempt of a container of the pod: they go with it
 * @throws RuntimeCallError; calling again goes on where it failed
 */
export async function removeSuperseded(
  cri: CriServices,
  view: PodView,
  filesOf: (container: string, attempt: number) => readonly string[],
): Promise<void> {
  const { containers, olderContainers, olderSandboxes } = view;
  const kept = new Map<string, Container>();
  for (const container of olderContainers) kept.set(nameOf(container), container);
  for (const container of olderContainers) {
    if (kept.get(nameOf(container)) === container) continue;
    if (container.state === ContainerState.CONTAINER_RUNNING) continue;
    await cri.runtime.removeContainer({ containerId: container.id });
    const files = filesOf(nameOf(container), container.metadata?.attempt ?? 0);
    for (const file of files) await rm(file, { force: true });
  }
  const inUse = new Set([...containers.values(), ...kept.values()].map(({ podSandboxId }) => podSandboxId));
  for (const { id } of olderSandboxes) {
    if (inUse.has(id)) continue;
    await cri.runtime.stopPodSandbox({ podSandboxId: id });
    await cri.runtime.removePodSandbox({ podSandboxId: id });
  }
}

function nameOf(container: Container): string {
  return container.metadata?.name ?? '';
}
