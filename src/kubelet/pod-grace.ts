import type { Pod } from '../kubeapi/index.ts';

/** Seconds that a container gets between its stop signal and the kill, when its pod names none. */
export const DEFAULT_GRACE_SECONDS = 30;

/** Seconds that the containers of a pod get to end. */
export function graceOf({ spec }: Pod): number {
  return Math.max(0, spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS);
}
