import type { Container, EphemeralContainer, Pod } from '../kubeapi/index.ts';

/** The ephemeral containers of a pod, none when it names none. */
export function ephemeralContainersOf({ spec }: Pod): readonly EphemeralContainer[] {
  return spec.ephemeralContainers ?? [];
}

/** All containers of a pod, of every kind: a name stands for one of them. */
export function allContainersOf({ spec }: Pick<Pod, 'spec'>): readonly Container[] {
  return [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
}

/** Where a container stands in its pod, as events name it; a regular one when the spec is not known. */
export function fieldPathOf(spec: Pod['spec'] | undefined, name: string): string {
  const lists = ['containers', 'initContainers', 'ephemeralContainers'] as const;
  const list = lists.find((one) => spec?.[one]?.some((container) => container.name === name));
  return `spec.${list ?? 'containers'}{${name}}`;
}
