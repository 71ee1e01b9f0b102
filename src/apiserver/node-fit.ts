import type { Node, Pod } from '../kubeapi/index.ts';
import { parseQuantity } from '../kubeapi/index.ts';

/** Pods that a node takes when it does not say: upstream's kubelet's default. */
const DEFAULT_MAX_PODS = 110;

/**
 * Why a node cannot take a pod, in upstream's words; undefined when it can.
 *
 * @param podCount pods that are on the node already
 */
export function misfitOf(pod: Pod, node: Node, podCount: number): string | undefined {
  const { spec = {}, metadata, status } = node;
  if (spec.unschedulable === true) return 'node(s) were unschedulable';
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  // Upstream's controller says the same by a taint.
  if (ready?.status !== 'True') {
    const taint = ready?.status === 'Unknown' ? 'unreachable' : 'not-ready';
    return `node(s) had untolerated taint {node.kubernetes.io/${taint}: }`;
  }
  const labels = metadata.labels ?? {};
  const isSelected = Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
  if (!isSelected || !matchesAffinity(pod, node)) return "node(s) didn't match Pod's node affinity/selector";
  const taint = spec.taints?.find((one) => one.effect !== 'PreferNoSchedule' && !isTolerated(pod, one));
  if (taint !== undefined) return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`;
  const capacity = status?.allocatable?.['pods'];
  const most = capacity === undefined ? DEFAULT_MAX_PODS : parseQuantity(capacity);
  return podCount < most ? undefined : 'Too many pods';
}

type NodeTaint = NonNullable<NonNullable<Node['spec']>['taints']>[number];

function isTolerated({ spec }: Pod, { key, value = '', effect }: NodeTaint): boolean {
  return (spec.tolerations ?? []).some((toleration) => {
    if ((toleration.effect ?? '') !== '' && toleration.effect !== effect) return false;
    if ((toleration.key ?? '') !== '' && toleration.key !== key) return false;
    return toleration.operator === 'Exists' || (toleration.key === key && (toleration.value ?? '') === value);
  });
}

interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

interface Term {
  readonly matchExpressions?: readonly Requirement[];
  readonly matchFields?: readonly Requirement[];
}

/** The required node affinity: one of its terms must hold, and an empty term never does. */
function matchesAffinity({ spec }: Pod, { metadata }: Node): boolean {
  const { affinity } = spec as {
    readonly affinity?: {
      readonly nodeAffinity?: {
        readonly requiredDuringSchedulingIgnoredDuringExecution?: { readonly nodeSelectorTerms?: readonly Term[] };
      };
    };
  };
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required === undefined) return true;
  return (required.nodeSelectorTerms ?? []).some(({ matchExpressions = [], matchFields = [] }) => {
    if (matchExpressions.length + matchFields.length === 0) return false;
    return (
      matchExpressions.every((requirement) => holds(requirement, metadata.labels?.[requirement.key])) &&
      matchFields.every((requirement) => requirement.key === 'metadata.name' && holds(requirement, metadata.name))
    );
  });
}

function holds({ operator, values = [] }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}
