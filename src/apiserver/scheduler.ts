import { toError } from '../common/errors.ts';
import { type Namespace, type Node, namespaces, nodes, type Pod, pods } from '../kubeapi/index.ts';
import { ApiError } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
import { EventRecorder } from './event-recorder.ts';
import { appealOf, type Misfit, misfitOf, type NodeAppeal } from './node-fit.ts';
import { ObjectCache } from './object-cache.ts';
import { bindPod, withScheduled } from './pod-binding.ts';
import { PodPlacements } from './pod-placements.ts';
import { type TopologyView, topologyRules } from './pod-topology.ts';
import { addressOf, type Registry } from './registry.ts';

/** The pods that are this scheduler's; others name another one. */
const SCHEDULER_NAME = 'default-scheduler';

export interface ControllerOptions {
  readonly signal: AbortSignal;
  readonly onProblem: (problem: Error) => void;
}

/**
 * Gives each pod without a node one that is ready and takes it: of several the one that the pod would like most, then
 * the one with the fewest pods, then the first by name. A pod that fits nowhere is told why, and tried again when a node
 * or a pod changes.
 *
 * Several apiservers may do this at once: a pod is bound once, by whoever is first.
 */
export class Scheduler {
  readonly #registry: Registry;
  readonly #options: ControllerOptions;
  readonly #recorder: EventRecorder;
  readonly #nodes: ObjectCache<Node>;
  readonly #pods: ObjectCache<Pod>;
  readonly #namespaces: ObjectCache<Namespace>;
  /** Keys of the pods that wait for a node. */
  readonly #pending = new Set<string>();
  readonly #placements = new PodPlacements();
  readonly #view: TopologyView;
  #isAsked = false;
  #pass: Promise<void> = Promise.resolve();

  constructor(registry: Registry, options: ControllerOptions) {
    this.#registry = registry;
    this.#options = options;
    this.#recorder = new EventRecorder(registry, SCHEDULER_NAME, options.onProblem);
    this.#nodes = new ObjectCache(registry, nodes, { ...options, onChange: () => this.#ask() });
    this.#pods = new ObjectCache(registry, pods, { ...options, onChange: (key) => this.#podChanged(key) });
    this.#namespaces = new ObjectCache(registry, namespaces, { ...options, onChange: () => this.#ask() });
    this.#view = {
      placements: this.#placements,
      nodes: () => this.#nodes.values(),
      nodeNamed: (name) => this.#nodes.get(`/${name}`),
      namespaceLabels: (name) => this.#namespaces.get(`/${name}`)?.metadata.labels,
    };
  }

  /** Settles when it has stopped. */
  async done(): Promise<void> {
    await Promise.all([this.#nodes, this.#pods, this.#namespaces].map(({ done }) => done));
    await this.#pass;
  }

  #podChanged(key: string): void {
    const pod = this.#pods.get(key);
    const node = pod === undefined || isOver(pod) ? '' : (pod.spec.nodeName ?? '');
    // A pod that waits keeps the place that it is about to get.
    const isPlaced = pod === undefined || node !== '' || isOver(pod);
    const hasMoved = isPlaced && this.#placements.place(key, pod, node);
    if (pod !== undefined && isWaiting(pod)) this.#pending.add(key);
    else this.#pending.delete(key);
    if (this.#pending.has(key) || hasMoved) this.#ask();
  }

  /** One pass follows when the one under way is over; many changes ask for one. */
  #ask(): void {
    const isSynced = [this.#nodes, this.#pods, this.#namespaces].every((cache) => cache.isSynced);
    if (this.#isAsked || this.#pending.size === 0 || !isSynced) return;
    this.#isAsked = true;
    this.#pass = this.#pass.then(async () => {
      this.#isAsked = false;
      for (const key of this.#pending) {
        if (this.#options.signal.aborted) return;
        const pod = this.#pods.get(key);
        if (pod !== undefined && isWaiting(pod)) await this.#schedule(key, pod);
      }
    });
  }

  /** Never rejects. */
  async #schedule(key: string, pod: Pod & ApiObject): Promise<void> {
    try {
      if ((pod.spec.schedulingGates ?? []).length > 0) {
        await this.#sayUnschedulable(pod, 'SchedulingGated', 'Scheduling is blocked due to non-empty scheduling gates');
        return;
      }
      const { chosen, message } = this.#choose(pod);
      if (chosen === undefined) {
        await this.#sayUnschedulable(pod, 'Unschedulable', message);
        return;
      }
      this.#placements.place(key, pod, chosen);
      await bindPod(this.#registry, addressOf(pod), { node: chosen, uid: pod.metadata.uid ?? '' });
      this.#pending.delete(key);
      const { namespace = '', name } = pod.metadata;
      const text = `Successfully assigned ${namespace}/${name} to ${chosen}`;
      await this.#recorder.record('Pod', pod, { type: 'Normal', reason: 'Scheduled', message: text });
    } catch (thrown) {
      this.#placements.place(key, undefined, '');
      // Somebody else bound or deleted it: the watch brings what it is now.
      const isOthers =
        thrown instanceof ApiError && (thrown.code === 'ERR_CONFLICT' || thrown.code === 'ERR_NOT_FOUND');
      if (!isOthers && !this.#options.signal.aborted) this.#options.onProblem(toError(thrown));
    }
  }

  #choose(pod: Pod): { readonly chosen: string | undefined; readonly message: string } {
    const misfits: Misfit[] = [];
    const misfitByOthers = topologyRules(pod, this.#view);
    let best: Candidate | undefined;
    for (const node of this.#nodes.values()) {
      const { name } = node.metadata;
      const usage = this.#placements.usageOf(name);
      const misfit = misfitOf(pod, node, usage) ?? misfitByOthers(node);
      if (misfit !== undefined) {
        misfits.push(misfit);
        continue;
      }
      const candidate = { ...appealOf(pod, node), podCount: usage.podCount, name };
      if (best === undefined || isBetter(candidate, best)) best = candidate;
    }
    if (best !== undefined) return { chosen: best.name, message: '' };
    const message = misfits.length === 0 ? 'no nodes available to schedule pods' : fitText(misfits);
    return { chosen: undefined, message };
  }

  /** Told once, until the reason changes. */
  async #sayUnschedulable(pod: Pod & ApiObject, reason: string, message: string): Promise<void> {
    const isTold = ({ status }: Pod): boolean =>
      (status?.conditions ?? []).some(
        (one) =>
          one.type === 'PodScheduled' && one.status === 'False' && one.reason === reason && one.message === message,
      );
    if (isTold(pod)) return;
    // Another apiserver may have said the same a moment ago: then it has recorded the event too.
    let isNew = false;
    const change = (now: ApiObject): ApiObject => {
      isNew = !isTold(now as Pod & ApiObject);
      return isNew ? { ...now, status: withScheduled(now, { status: 'False', reason, message }) } : now;
    };
    await this.#registry.update(pods, addressOf(pod), change, { scope: 'status' });
    if (!isNew || reason !== 'Unschedulable') return;
    await this.#recorder.record('Pod', pod, { type: 'Warning', reason: 'FailedScheduling', message });
  }
}

/** A node that can take a pod. */
interface Candidate extends NodeAppeal {
  readonly name: string;
  readonly podCount: number;
}

function isBetter(one: Candidate, other: Candidate): boolean {
  if (one.taints !== other.taints) return one.taints < other.taints;
  if (one.weight !== other.weight) return one.weight > other.weight;
  return one.podCount === other.podCount ? one.name < other.name : one.podCount < other.podCount;
}

/** Upstream's sentence. podwire moves no pod for another, as the second half says. */
function fitText(misfits: readonly Misfit[]): string {
  const none = `0/${misfits.length} nodes are available`;
  const moves = misfits.map(({ isFinal }) =>
    isFinal ? 'Preemption is not helpful for scheduling' : 'No preemption victims found for incoming pod',
  );
  const reasons = misfits.flatMap((misfit) => misfit.reasons);
  return `${none}: ${countTexts(reasons)}. preemption: ${none}: ${countTexts(moves)}.`;
}

/** `2 THIS, 1 THAT`, in the order of the alphabet. */
function countTexts(texts: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts]
    .map(([text, count]) => `${count} ${text}`)
    .sort()
    .join(', ');
}

function isWaiting(pod: Pod): boolean {
  const { spec, metadata } = pod;
  const scheduler = spec.schedulerName ?? SCHEDULER_NAME;
  return (spec.nodeName ?? '') === '' && !metadata.deletionTimestamp && scheduler === SCHEDULER_NAME && !isOver(pod);
}

function isOver({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}
