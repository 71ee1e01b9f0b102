import type { Node, Pod, PodAffinityTerm, TopologySpreadConstraint } from '../kubeapi/index.ts';
import type { Labels } from './label-selector.ts';
import { type Misfit, matchesNode, untoleratedTaint } from './node-fit.ts';
import { isEmptySelector, isSelected, valueOf } from './object-selector.ts';
import type { Placement, PodPlacements } from './pod-placements.ts';

/** What is there when a pod is to be placed. */
export interface TopologyView {
  readonly placements: PodPlacements;
  readonly nodes: () => Iterable<Node>;
  readonly nodeNamed: (name: string) => Node | undefined;
  /** @returns undefined for a namespace that is not there */
  readonly namespaceLabels: (name: string) => Labels | undefined;
}

/**
 * Which nodes a pod may go to because of the pods that are there: its constraints of spread, its terms of affinity, and
 * the anti-affinity of others. A pod without terms among pods without terms costs nothing.
 *
 * @returns says of a node what keeps the pod from it
 * @see kubernetes pkg/scheduler/framework/plugins podtopologyspread and interpodaffinity, filtering.go
 */
export function topologyRules(pod: Pod, view: TopologyView): (node: Node) => Misfit | undefined {
  const spread = spreadRule(pod, view);
  const affinity = affinityRule(pod, view);
  return (node) => spread?.(node) ?? affinity?.(node);
}

/** True when a pod may go to more nodes once there are more pods. */
export function seeksOthers({ spec }: Pod): boolean {
  const terms = spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  return terms.length > 0 || (spec.topologySpreadConstraints ?? []).some(isBinding);
}

function isBinding({ whenUnsatisfiable }: TopologySpreadConstraint): boolean {
  return whenUnsatisfiable === 'DoNotSchedule';
}

type Rule = (node: Node) => Misfit | undefined;

const labelsOf = ({ metadata }: Node): Labels => metadata.labels ?? {};

const SPREAD_REASON = "node(s) didn't match pod topology spread constraints";

/** A constraint with its selector, which the pod's own labels may narrow. */
interface Spread extends TopologySpreadConstraint {
  readonly selects: (other: Pod) => boolean;
  readonly selectsAll: boolean;
}

function spreadRule(pod: Pod, view: TopologyView): Rule | undefined {
  const constraints = (pod.spec.topologySpreadConstraints ?? [])
    .filter(isBinding)
    .map((constraint) => spreadOf(constraint, pod));
  if (constraints.length === 0) return undefined;
  const judged = constraints.map((constraint) => {
    const { topologyKey, maxSkew, minDomains = 1, selects } = constraint;
    const domains = domainCounts(constraint, constraints, { pod, view });
    const least = domains.size < minDomains ? 0 : [...domains.values()].reduce((one, other) => Math.min(one, other));
    return { topologyKey, domains, most: maxSkew + least - (selects(pod) ? 1 : 0) };
  });
  return (node) => {
    for (const { topologyKey, domains, most } of judged) {
      const value = valueOf(labelsOf(node), topologyKey);
      if (value === undefined) return { reasons: [`${SPREAD_REASON} (missing required label)`], isFinal: true };
      if ((domains.get(value) ?? 0) > most) return { reasons: [SPREAD_REASON], isFinal: false };
    }
    return undefined;
  };
}

function spreadOf(constraint: TopologySpreadConstraint, pod: Pod): Spread {
  const { labelSelector, matchLabelKeys = [] } = constraint;
  const own = pod.metadata.labels ?? {};
  const narrowed = matchLabelKeys.filter((key) => valueOf(own, key) !== undefined);
  const selects: Spread['selects'] = ({ metadata }) => {
    const labels = metadata.labels ?? {};
    return isSelected(labelSelector, labels) && narrowed.every((key) => valueOf(labels, key) === valueOf(own, key));
  };
  const selectsAll = labelSelector !== undefined && isEmptySelector(labelSelector) && narrowed.length === 0;
  return { ...constraint, selects, selectsAll };
}

/** The pods that a constraint counts, by the domains of the nodes that it looks at. */
function domainCounts(
  { topologyKey, selects, selectsAll, nodeAffinityPolicy, nodeTaintsPolicy }: Spread,
  all: readonly Spread[],
  { pod, view }: { readonly pod: Pod; readonly view: TopologyView },
): ReadonlyMap<string, number> {
  const counted = new Map<string, string>();
  const domains = new Map<string, number>();
  for (const node of view.nodes()) {
    const labels = labelsOf(node);
    if (!all.every((one) => valueOf(labels, one.topologyKey) !== undefined)) continue;
    if (nodeAffinityPolicy !== 'Ignore' && !matchesNode(pod, node)) continue;
    if (nodeTaintsPolicy === 'Honor' && untoleratedTaint(pod, node) !== undefined) continue;
    const value = valueOf(labels, topologyKey) ?? '';
    counted.set(node.metadata.name, value);
    domains.set(value, domains.get(value) ?? 0);
  }
  // Upstream counts nothing for a selector that selects everything.
  if (selectsAll) return domains;
  for (const { pod: other, node } of view.placements.values()) {
    const value = counted.get(node);
    if (value === undefined || other.metadata.deletionTimestamp) continue;
    if (other.metadata.namespace !== pod.metadata.namespace || !selects(other)) continue;
    domains.set(value, (domains.get(value) ?? 0) + 1);
  }
  return domains;
}

const AFFINITY_REASON = "node(s) didn't match pod affinity rules";
const ANTI_AFFINITY_REASON = "node(s) didn't match pod anti-affinity rules";
const EXISTING_REASON = "node(s) didn't satisfy existing pods anti-affinity rules";

/** Labels of nodes, as `KEY=VALUE`: neither has such a sign in it. */
type NodeLabels = ReadonlySet<string>;

function affinityRule(pod: Pod, view: TopologyView): Rule | undefined {
  const [wanted, unwanted] = [pod.spec.affinity?.podAffinity, pod.spec.affinity?.podAntiAffinity].map(
    (terms) => terms?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
  );
  const repelling = repellingLabels(pod, view);
  if (wanted === undefined || unwanted === undefined) return undefined;
  if (wanted.length === 0 && unwanted.length === 0 && repelling.size === 0) return undefined;
  const isWanted = (other: Pod): boolean => wanted.every((term) => isMatched(term, { owner: pod, other, view }));
  const attracting =
    wanted.length === 0 ? new Set<string>() : labelsBeside(wanted, view, (_, other) => isWanted(other));
  const occupied =
    unwanted.length === 0
      ? new Set<string>()
      : labelsBeside(unwanted, view, (term, other) => isMatched(term, { owner: pod, other, view }));
  // The first of pods that want to be together has nobody to be with.
  const isFirst = attracting.size === 0 && isWanted(pod);
  return (node) => {
    const labels = labelsOf(node);
    const isIn = (found: NodeLabels, { topologyKey }: PodAffinityTerm): boolean =>
      found.has(`${topologyKey}=${valueOf(labels, topologyKey) ?? ''}`);
    const hasTopologies = wanted.every(({ topologyKey }) => valueOf(labels, topologyKey) !== undefined);
    if (!hasTopologies || !(isFirst || wanted.every((term) => isIn(attracting, term)))) {
      return { reasons: [AFFINITY_REASON], isFinal: true };
    }
    if (unwanted.some((term) => valueOf(labels, term.topologyKey) !== undefined && isIn(occupied, term))) {
      return { reasons: [ANTI_AFFINITY_REASON], isFinal: false };
    }
    const isRepelled =
      repelling.size > 0 && Object.entries(labels).some(([key, value]) => repelling.has(`${key}=${value}`));
    return isRepelled ? { reasons: [EXISTING_REASON], isFinal: false } : undefined;
  };
}

/** The labels of the nodes where pods are that a term is about. */
function labelsBeside(
  terms: readonly PodAffinityTerm[],
  view: TopologyView,
  isMeant: (term: PodAffinityTerm, other: Pod) => boolean,
): NodeLabels {
  const found = new Set<string>();
  for (const placement of view.placements.values()) {
    for (const term of terms) if (isMeant(term, placement.pod)) addLabel(found, { term, placement, view });
  }
  return found;
}

/** The labels of the nodes where pods are that do not want this one beside them. */
function repellingLabels(pod: Pod, view: TopologyView): NodeLabels {
  const found = new Set<string>();
  for (const placement of view.placements.repellent()) {
    const terms = placement.pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    for (const term of terms) {
      if (isMatched(term, { owner: placement.pod, other: pod, view })) addLabel(found, { term, placement, view });
    }
  }
  return found;
}

function addLabel(
  found: Set<string>,
  {
    term,
    placement,
    view,
  }: { readonly term: PodAffinityTerm; readonly placement: Placement; readonly view: TopologyView },
): void {
  const node = view.nodeNamed(placement.node);
  const value = node && valueOf(labelsOf(node), term.topologyKey);
  if (value !== undefined) found.add(`${term.topologyKey}=${value}`);
}

/** True when a term of `owner` is about `other`. */
function isMatched(
  { labelSelector, namespaces = [], namespaceSelector }: PodAffinityTerm,
  { owner, other, view }: { readonly owner: Pod; readonly other: Pod; readonly view: TopologyView },
): boolean {
  const room = other.metadata.namespace ?? '';
  const isOwn = namespaces.length === 0 && namespaceSelector === undefined && room === owner.metadata.namespace;
  const isNamed = isOwn || namespaces.includes(room) || isSelected(namespaceSelector, view.namespaceLabels(room));
  return isNamed && isSelected(labelSelector, other.metadata.labels);
}
