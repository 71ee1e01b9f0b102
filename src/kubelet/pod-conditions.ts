import type { Condition, Pod, PodStatus } from '../kubeapi/index.ts';

/** The conditions of pods that a kubelet tells of. */
const own: ReadonlySet<string> = new Set([
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
]);

/** Conditions that others set: their time and reason are theirs. */
export function foreignConditions({ conditions = [] }: PodStatus): readonly Condition[] {
  return conditions.filter(({ type }) => !own.has(type));
}

/** `status` without the conditions that others set. */
export function withoutForeign(status: PodStatus): PodStatus {
  const { conditions } = status;
  return conditions === undefined ? status : { ...status, conditions: conditions.filter(({ type }) => own.has(type)) };
}

/** What a kubelet last said, with the conditions that others have set by now. */
export function withForeign(said: PodStatus, now: PodStatus): PodStatus {
  const { conditions = [], ...status } = withoutForeign(said);
  const all = [...foreignConditions(now), ...conditions];
  return all.length === 0 ? status : { ...status, conditions: all };
}

/**
 * Why a pod whose containers are ready is not: what others have not said of it yet.
 *
 * @returns undefined when they have
 * @see kubernetes pkg/kubelet/status/generate.go, GeneratePodReadyCondition
 */
export function closedGates({ spec, status = {} }: Pod): string | undefined {
  const faults = (spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const found = status.conditions?.find(({ type }) => type === conditionType);
    const gate = `pod readiness gate ${JSON.stringify(conditionType)}`;
    if (found === undefined) return [`corresponding condition of ${gate} does not exist.`];
    return found.status === 'True' ? [] : [`the status of ${gate} is not "True", but ${found.status}`];
  });
  return faults.length === 0 ? undefined : faults.join(', ');
}
