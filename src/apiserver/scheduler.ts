import { setImmediate } from 'node:timers/promises';
import { toError } from '../common/errors.ts';
import { type Namespace, type Node, namespaces, nodes, type Pod, pods } from '../kubeapi/index.ts';
import { ApiError } from './api-error.ts';
import { type ApiObject, isSameJson } from './api-object.ts';
import { EventRecorder } from './event-recorder.ts';
import { appealOf, isFitAsBefore, type Misfit, misfitOf, type NodeAppeal } from './node-fit.ts';
import { ObjectCache, pause } from './object-cache.ts';
import { bindPod, withScheduled } from './pod-binding.ts';
import { isAlike, type PlacementChange, PodPlacements } from './pod-placements.ts';
import { seeksOthers, type TopologyView, topologyRules } from './pod-topology.ts';
import { addressOf, type Registry } from './registry.ts';

/** The pods that are this scheduler's; others name another one. */
const SCHEDULER_NAME = 'default-scheduler';

export interface ControllerOptions {
  readonly signal: AbortSignal;
  readonly onProblem: (problem: Error) => void;
}

/** How long a pod that could not be bound waits until it is tried again, in ms. */
const RETRY_MS = 1_000;

/**
 * Gives each pod without a node one that takes it: of several the one that the pod would like most, then the one with
 * the fewest pods, then the first by name. A pod that fits nowhere is told why, and tried again when a node or a pod
 * changes in a way that may help.
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
  /** Those of them that are to be looked at: new ones, and others since something has changed. */
  readonly #due = new Set<string>();
  /** Those of them that failed, until they are tried again. */
  readonly #failed = new Set<string>();
  /** Pods that were given a node of which the watch has yet to tell, by key, with their uid. */
  readonly #assumed = new Map<string, string>();
  readonly #placements = new PodPlacements();
  readonly #view: TopologyView;
  #isRunning = false;
  #isRetrying = false;
  #pass: Promise<void> = Promise.resolve();

  constructor(registry: Registry, options: ControllerOptions) {
    this.#registry = registry;
    this.#options = options;
    this.#recorder = new EventRecorder(registry, SCHEDULER_NAME, options.onProblem);
    this.#nodes = new ObjectCache(registry, nodes, {
      ...options,
      onChange: (key, before) => this.#reconsider(isFitAsBefore(before, this.#nodes.get(key)) ? 'none' : 'other'),
    });
    this.#pods = new ObjectCache(registry, pods, {
      ...options,
      onChange: (key, before) => this.#podChanged(key, before),
    });
    this.#namespaces = new ObjectCache(registry, namespaces, {
      ...options,
      onChange: (key, before) => {
        const now = this.#namespaces.get(key);
        this.#reconsider(isSameJson(before?.metadata.labels, now?.metadata.labels) ? 'none' : 'other');
      },
    });
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

  #podChanged(key: string, before: (Pod & ApiObject) | undefined): void {
    const pod = this.#pods.get(key);
    const isPending = pod !== undefined && isWaiting(pod);
    // The watch is behind: the pod keeps the place that it has been given.
    if (isPending && this.#assumed.get(key) === uidOf(pod)) return;
    this.#assumed.delete(key);
    const isSame = before !== undefined && pod !== undefined && uidOf(before) === uidOf(pod);
    if (!isPending) this.#forget(key);
    else if (!this.#pending.has(key) || !isSame || !isAlike(before, pod)) {
      this.#pending.add(key);
      this.#due.add(key);
    }
    this.#reconsider(this.#placements.place(key, pod, pod === undefined ? '' : nodeOf(pod)));
  }

  #forget(key: string): void {
    for (const keys of [this.#pending, this.#due, this.#failed]) keys.delete(key);
  }

  /** Looks again at the pods that a change may help. */
  #reconsider(change: PlacementChange): void {
    if (change !== 'none') {
      for (const key of this.#pending) {
        const pod = this.#pods.get(key);
        if (change === 'other' || (pod !== undefined && seeksOthers(pod))) this.#due.add(key);
      }
    }
    const isSynced = [this.#nodes, this.#pods, this.#namespaces].every((cache) => cache.isSynced);
    if (this.#isRunning || this.#due.size === 0 || !isSynced || this.#options.signal.aborted) return;
    this.#isRunning = true;
    this.#pass = this.#run();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    // Also those that become due meanwhile.
    for (const key of this.#due) {
      // Whoever else has something to do is not kept waiting by many pods, and what comes at once is seen at once.
      await setImmediate();
      if (this.#options.signal.aborted) break;
      const pod = this.#pods.get(key);
      if (!this.#due.delete(key) || pod === undefined || !isWaiting(pod)) continue;
      // The others would fare no better.
      if (!(await this.#schedule(key, pod))) break;
    }
    this.#isRunning = false;
  }

  /** Never rejects. @returns false when the store does not do its part */
  async #schedule(key: string, pod: Pod & ApiObject): Promise<boolean> {
    try {
      if ((pod.spec.schedulingGates ?? []).length > 0) {
        await this.#sayUnschedulable(pod, 'SchedulingGated', 'Scheduling is blocked due to non-empty scheduling gates');
        return true;
      }
      const { chosen, message } = this.#choose(pod);
      if (chosen === undefined) await this.#sayUnschedulable(pod, 'Unschedulable', message);
      else await this.#bind(key, pod, chosen);
      return true;
    } catch (thrown) {
      this.#retryLater(key);
      // Somebody else bound or deleted it: the watch brings what it is now.
      const isOthers =
        thrown instanceof ApiError && (thrown.code === 'ERR_CONFLICT' || thrown.code === 'ERR_NOT_FOUND');
      if (!isOthers && !this.#options.signal.aborted) this.#options.onProblem(toError(thrown));
      return thrown instanceof ApiError;
    }
  }

  async #bind(key: string, pod: Pod & ApiObject, node: string): Promise<void> {
    const { namespace = '', name } = pod.metadata;
    const uid = uidOf(pod);
    this.#assumed.set(key, uid);
    // As it will be seen, so that this is then no change.
    const change = this.#placements.place(key, { ...pod, spec: { ...pod.spec, nodeName: node } }, node);
    try {
      await bindPod(this.#registry, addressOf(pod), { node, uid });
    } catch (thrown) {
      // What the watch has told meanwhile stands.
      if (this.#assumed.get(key) === uid) {
        this.#assumed.delete(key);
        this.#placements.place(key, undefined, '');
      }
      throw thrown;
    }
    if (this.#assumed.get(key) === uid) this.#forget(key);
    this.#reconsider(change);
    const message = `Successfully assigned ${namespace}/${name} to ${node}`;
    await this.#recorder.record('Pod', pod, { type: 'Normal', reason: 'Scheduled', message });
  }

  #retryLater(key: string): void {
    this.#failed.add(key);
    if (this.#isRetrying) return;
    this.#isRetrying = true;
    void pause(RETRY_MS, this.#options.signal).then(() => {
      this.#isRetrying = false;
      for (const failed of this.#failed) this.#due.add(failed);
      this.#failed.clear();
      this.#reconsider('none');
    });
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
      // And it may have been bound, or be another of the same name.
      isNew =
        now.metadata.uid === pod.metadata.uid && isWaiting(now as Pod & ApiObject) && !isTold(now as Pod & ApiObject);
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

function uidOf({ metadata }: Pod): string {
  return metadata.uid ?? '';
}

/** Where a pod takes something away from others; `''` for nowhere. */
function nodeOf(pod: Pod): string {
  return isOver(pod) ? '' : (pod.spec.nodeName ?? '');
}

function isOver({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}
