import type { Node, NodeSelectorTerm, Pod, Taint } from '../kubeapi/index.ts';
import { isSameJson } from './api-object.ts';
import { holds, valueOf } from './object-selector.ts';
import { amountsOf, hostPortsOf, isSamePort, requestsOf } from './pod-demand.ts';
import type { NodeUsage } from './pod-placements.ts';

/** Pods that a node takes when it does not say: upstream's kubelet's default. */
const DEFAULT_MAX_PODS = 110n;

/** Why a node cannot take a pod, in upstream's words. */
export interface Misfit {
  readonly reasons: readonly string[];
  /** It would not help that other pods went from there. */
  readonly isFinal: boolean;
}

/**
 * What keeps a pod from a node, whatever is on other nodes; undefined when nothing does. As upstream does, it looks no
 * further than the first thing.
 *
 * @param usage what the pods that are on the node take
 */
export function misfitOf(pod: Pod, node: Node, usage: NodeUsage): Misfit | undefined {
  const final = (reason: string): Misfit => ({ reasons: [reason], isFinal: true });
  const taint = untoleratedTaint(pod, node);
  if (taint === unschedulableTaint) return final('node(s) were unschedulable');
  if (taint !== undefined) return final(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`);
  if (!matchesNode(pod, node)) return final("node(s) didn't match Pod's node affinity/selector");
  if (hostPortsOf(pod).some((port) => usage.ports.some((taken) => isSamePort(port, taken)))) {
    return { reasons: ["node(s) didn't have free ports for the requested pod ports"], isFinal: false };
  }
  const reasons = shortages(pod, node, usage);
  return reasons.length === 0 ? undefined : { reasons, isFinal: false };
}

const unschedulableTaint: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** The first taint that keeps a pod from a node, also one that the node has by its state. */
export function untoleratedTaint(pod: Pod, node: Node): Taint | undefined {
  const { unschedulable = false, taints = [] } = node.spec ?? {};
  const all = [...(unschedulable ? [unschedulableTaint] : []), ...conditionTaints(node), ...taints];
  return all.find((taint) => taint.effect !== 'PreferNoSchedule' && !isTolerated(pod, taint));
}

/** What a node may have too little of: the condition, and the name of the taint. */
const pressures: ReadonlyMap<string, string> = new Map([
  ['MemoryPressure', 'memory-pressure'],
  ['DiskPressure', 'disk-pressure'],
  ['PIDPressure', 'pid-pressure'],
  ['NetworkUnavailable', 'network-unavailable'],
]);

/** Upstream's controller gives a node such taints; here the conditions alone say it. */
function conditionTaints({ status }: Node): readonly Taint[] {
  const conditions = status?.conditions ?? [];
  const taint = (name: string, effect: Taint['effect']): Taint => ({ key: `node.kubernetes.io/${name}`, effect });
  const ready = conditions.find(({ type }) => type === 'Ready')?.status;
  const state = ready === 'Unknown' ? 'unreachable' : 'not-ready';
  return [
    ...(ready === 'True' ? [] : [taint(state, 'NoSchedule'), taint(state, 'NoExecute')]),
    ...conditions.flatMap((condition) => {
      const name = pressures.get(condition.type);
      return name === undefined || condition.status !== 'True' ? [] : [taint(name, 'NoSchedule')];
    }),
  ];
}

function isTolerated({ spec }: Pod, { key, value = '', effect }: Taint): boolean {
  return (spec.tolerations ?? []).some((toleration) => {
    if ((toleration.effect ?? '') !== '' && toleration.effect !== effect) return false;
    if ((toleration.key ?? '') !== '' && toleration.key !== key) return false;
    return toleration.operator === 'Exists' || (toleration.key === key && (toleration.value ?? '') === value);
  });
}

/** True when the node is one that the pod's selector and its required node affinity take. */
export function matchesNode({ spec }: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  if (!Object.entries(spec.nodeSelector ?? {}).every(([key, value]) => valueOf(labels, key) === value)) return false;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || (required.nodeSelectorTerms ?? []).some((term) => isTerm(term, node));
}

/** An empty term takes no node. */
function isTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, { metadata }: Node): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((requirement) => holds(requirement, valueOf(metadata.labels ?? {}, requirement.key))) &&
    matchFields.every((requirement) => requirement.key === 'metadata.name' && holds(requirement, metadata.name))
  );
}

/** What the node has too little of. One that has not said what it has is not asked but for its pods. */
function shortages(pod: Pod, { status }: Node, { podCount, requested }: NodeUsage): string[] {
  const allocatable = status?.allocatable && amountsOf(status.allocatable);
  const reasons = podCount < (allocatable?.get('pods') ?? DEFAULT_MAX_PODS) ? [] : ['Too many pods'];
  if (allocatable === undefined) return reasons;
  for (const [name, amount] of requestsOf(pod)) {
    const free = (allocatable.get(name) ?? 0n) - (requested.get(name) ?? 0n);
    if (amount > 0n && amount > free) reasons.push(`Insufficient ${name}`);
  }
  return reasons;
}

/** True when nothing of a node has changed that decides which pods go there, or elsewhere because of it. */
export function isFitAsBefore(before: Node | undefined, now: Node | undefined): boolean {
  if (before === undefined || now === undefined) return before === now;
  return (
    isSameJson(before.metadata.labels, now.metadata.labels) &&
    isSameJson(before.spec, now.spec) &&
    isSameJson(before.status?.allocatable, now.status?.allocatable) &&
    isSameJson(conditionTaints(before), conditionTaints(now))
  );
}

/** How much a pod would like a node: first of all few taints that it does not tolerate, then what it wishes for itself. */
export interface NodeAppeal {
  readonly taints: number;
  /** The weights of its wishes that the node fulfils, together. */
  readonly weight: number;
}

export function appealOf(pod: Pod, node: Node): NodeAppeal {
  const wishes = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const unliked = (node.spec?.taints ?? []).filter(
    (one) => one.effect === 'PreferNoSchedule' && !isTolerated(pod, one),
  );
  return {
    taints: unliked.length,
    weight: wishes.reduce((sum, { weight, preference }) => sum + (isTerm(preference, node) ? weight : 0), 0),
  };
}
