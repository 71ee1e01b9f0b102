import { ageOf } from './human-duration.ts';
import type { Condition } from './object-meta.ts';
import type { Pod } from './pod.ts';
import { podSummary, restartsText } from './pod-summary.ts';
import { column, type TableLayout } from './table.ts';

/** The columns of `kubectl get pods`, and behind them those of `-o wide`. */
export const podLayout: TableLayout<Pod> = {
  columns: [
    column('Name'),
    column('Ready', 0, 'Containers that are ready, of all that are to run'),
    column('Status', 0, 'What the pod does, or what keeps it from doing it'),
    column('Restarts', 0, 'Restarts of its containers, and when the last one was'),
    column('Age'),
    column('IP', 1),
    column('Node', 1),
    column('Nominated Node', 1),
    column('Readiness Gates', 1),
  ],
  row: (pod, now) => {
    const { metadata, spec, status } = pod;
    const summary = podSummary(pod);
    const conditions = endConditions(pod);
    return {
      cells: [
        metadata.name,
        `${summary.readyContainers}/${summary.totalContainers}`,
        summary.status,
        restartsText(summary, now),
        ageOf(metadata.creationTimestamp, now),
        status?.podIPs?.[0]?.ip || status?.podIP || NONE,
        spec.nodeName || NONE,
        status?.nominatedNodeName || NONE,
        readinessGates(pod),
      ],
      ...(conditions.length === 0 ? {} : { conditions }),
    };
  },
};

const NONE = '<none>';

function readinessGates({ spec, status }: Pod): string {
  const gates = spec.readinessGates ?? [];
  if (gates.length === 0) return NONE;
  const met = gates.filter(({ conditionType }) =>
    status?.conditions?.some(({ type, status }) => type === conditionType && status === 'True'),
  );
  return `${met.length}/${gates.length}`;
}

/** Marks rows of pods that ended, for clients that hide them. */
function endConditions({ status }: Pod): Condition[] {
  if (status?.phase !== 'Succeeded' && status?.phase !== 'Failed') return [];
  const message = status.phase === 'Succeeded' ? 'The pod has completed successfully.' : 'The pod failed.';
  return [{ type: 'Completed', status: 'True', reason: status.phase, message }];
}
