import type { Pod } from '../kubeapi/index.ts';
import { isSameJson } from './api-object.ts';
import { type Amounts, type HostPort, hostPortsOf, requestsOf } from './pod-demand.ts';

/** A pod and the node that it counts for: bound or about to be. */
export interface Placement {
  readonly pod: Pod;
  readonly node: string;
}

/** What the pods of a node take of it. */
export interface NodeUsage {
  readonly podCount: number;
  readonly requested: Amounts;
  readonly ports: readonly HostPort[];
}

/** What a pod's coming, going or changing is to others: nothing, one more of them, or anything else. */
export type PlacementChange = 'none' | 'one more' | 'other';

const nothing: NodeUsage = { podCount: 0, requested: new Map(), ports: [] };

/** Which pods are where, by the pod's key, with sums by node: a pod that comes or goes costs no look at the others. */
export class PodPlacements {
  readonly #placements = new Map<string, Placement>();
  readonly #usages = new Map<string, NodeUsage>();
  /** Those that keep others away. */
  readonly #repellent = new Map<string, Placement>();

  /**
   * @param node `''`: it is nowhere
   * @returns what has changed that matters to other pods
   */
  place(key: string, pod: Pod | undefined, node: string): PlacementChange {
    const before = this.#placements.get(key);
    if (before !== undefined) this.#remove(key, before);
    if (pod !== undefined && node !== '') this.#add(key, { pod, node });
    const after = this.#placements.get(key);
    if (before === undefined) return after === undefined ? 'none' : 'one more';
    return before.node === after?.node && isAlike(before.pod, after.pod) ? 'none' : 'other';
  }

  values(): Iterable<Placement> {
    return this.#placements.values();
  }

  /** The pods with required anti-affinity. */
  repellent(): Iterable<Placement> {
    return this.#repellent.values();
  }

  usageOf(node: string): NodeUsage {
    return this.#usages.get(node) ?? nothing;
  }

  #add(key: string, placement: Placement): void {
    this.#placements.set(key, placement);
    const { pod, node } = placement;
    const { podCount, requested, ports } = this.usageOf(node);
    this.#usages.set(node, {
      podCount: podCount + 1,
      requested: sum(requested, requestsOf(pod), 1n),
      ports: [...ports, ...hostPortsOf(pod)],
    });
    if (hasAntiAffinity(pod)) this.#repellent.set(key, placement);
  }

  #remove(key: string, { pod, node }: Placement): void {
    this.#placements.delete(key);
    this.#repellent.delete(key);
    const { podCount, requested, ports } = this.usageOf(node);
    if (podCount <= 1) {
      this.#usages.delete(node);
      return;
    }
    const left = [...ports];
    for (const gone of hostPortsOf(pod)) {
      const at = left.findIndex((port) => isSameJson(port, gone));
      if (at !== -1) left.splice(at, 1);
    }
    this.#usages.set(node, { podCount: podCount - 1, requested: sum(requested, requestsOf(pod), -1n), ports: left });
  }
}

/** Without the names of which nothing is left. */
function sum(amounts: Amounts, more: Amounts, sign: 1n | -1n): Amounts {
  if (more.size === 0) return amounts;
  const sums = new Map(amounts);
  for (const [name, amount] of more) {
    const now = (sums.get(name) ?? 0n) + sign * amount;
    if (now === 0n) sums.delete(name);
    else sums.set(name, now);
  }
  return sums;
}

function hasAntiAffinity({ spec }: Pod): boolean {
  return (spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).length > 0;
}

/** What selectors and sums read of them is the same. */
export function isAlike(left: Pod, right: Pod): boolean {
  return (
    Boolean(left.metadata.deletionTimestamp) === Boolean(right.metadata.deletionTimestamp) &&
    isSameJson(left.metadata.labels, right.metadata.labels) &&
    isSameJson(left.spec, right.spec)
  );
}
