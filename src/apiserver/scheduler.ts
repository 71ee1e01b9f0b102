import { toError } from '../common/errors.ts';
import { type Node, nodes, type Pod, pods } from '../kubeapi/index.ts';
import { ApiError } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
import { EventRecorder } from './event-recorder.ts';
import { misfitOf } from './node-fit.ts';
import { ObjectCache } from './object-cache.ts';
import { bindPod, withScheduled } from './pod-binding.ts';
import { addressOf, type Registry } from './registry.ts';

/** The pods that are this scheduler's; others name another one. */
const SCHEDULER_NAME = 'default-scheduler';

export interface ControllerOptions {
  readonly signal: AbortSignal;
  readonly onProblem: (problem: Error) => void;
}

/**
 * Gives each pod without a node one that is ready and takes it: of several the one with the fewest pods, then the first
 * by name. A pod that fits nowhere is told why, and tried again when a node or a pod changes.
 *
 * Several apiservers may do this at once: a pod is bound once, by whoever is first.
 */
export class Scheduler {
  readonly #registry: Registry;
  readonly #options: ControllerOptions;
  readonly #recorder: EventRecorder;
  readonly #nodes: ObjectCache<Node>;
  readonly #pods: ObjectCache<Pod>;
  /** Keys of the pods that wait for a node. */
  readonly #pending = new Set<string>();
  /** The node that each pod counts for, by the pod's key: bound or about to be. */
  readonly #placed = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  #isAsked = false;
  #pass: Promise<void> = Promise.resolve();

  constructor(registry: Registry, options: ControllerOptions) {
    this.#registry = registry;
    this.#options = options;
    this.#recorder = new EventRecorder(registry, SCHEDULER_NAME, options.onProblem);
    this.#nodes = new ObjectCache(registry, nodes, { ...options, onChange: () => this.#ask() });
    this.#pods = new ObjectCache(registry, pods, { ...options, onChange: (key) => this.#podChanged(key) });
  }

  /** Settles when it has stopped. */
  async done(): Promise<void> {
    await Promise.all([this.#nodes.done, this.#pods.done]);
    await this.#pass;
  }

  #podChanged(key: string): void {
    const pod = this.#pods.get(key);
    const node = pod === undefined || isOver(pod) ? '' : (pod.spec.nodeName ?? '');
    const before = this.#placed.get(key) ?? '';
    // A pod that waits keeps the place that it is about to get.
    if (pod === undefined || node !== '' || isOver(pod)) this.#place(key, node);
    if (pod !== undefined && isWaiting(pod)) this.#pending.add(key);
    else this.#pending.delete(key);
    if (this.#pending.has(key) || before !== node) this.#ask();
  }

  #place(key: string, node: string): void {
    const before = this.#placed.get(key);
    if (before === (node === '' ? undefined : node)) return;
    if (before !== undefined) this.#counts.set(before, (this.#counts.get(before) ?? 1) - 1);
    if (node === '') this.#placed.delete(key);
    else {
      this.#placed.set(key, node);
      this.#counts.set(node, (this.#counts.get(node) ?? 0) + 1);
    }
  }

  /** One pass follows when the one under way is over; many changes ask for one. */
  #ask(): void {
    if (this.#isAsked || this.#pending.size === 0 || !this.#nodes.isSynced || !this.#pods.isSynced) return;
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
      this.#place(key, chosen);
      await bindPod(this.#registry, addressOf(pod), { node: chosen, uid: pod.metadata.uid ?? '' });
      this.#pending.delete(key);
      const { namespace = '', name } = pod.metadata;
      const text = `Successfully assigned ${namespace}/${name} to ${chosen}`;
      await this.#recorder.record('Pod', pod, { type: 'Normal', reason: 'Scheduled', message: text });
    } catch (thrown) {
      this.#place(key, '');
      // Somebody else bound or deleted it: the watch brings what it is now.
      const isOthers =
        thrown instanceof ApiError && (thrown.code === 'ERR_CONFLICT' || thrown.code === 'ERR_NOT_FOUND');
      if (!isOthers && !this.#options.signal.aborted) this.#options.onProblem(toError(thrown));
    }
  }

  #choose(pod: Pod): { readonly chosen: string | undefined; readonly message: string } {
    const misfits = new Map<string, number>();
    let best: { readonly name: string; readonly count: number } | undefined;
    let total = 0;
    for (const node of this.#nodes.values()) {
      total += 1;
      const { name } = node.metadata;
      const count = this.#counts.get(name) ?? 0;
      const misfit = misfitOf(pod, node, count);
      if (misfit !== undefined) misfits.set(misfit, (misfits.get(misfit) ?? 0) + 1);
      else if (best === undefined || count < best.count || (count === best.count && name < best.name)) {
        best = { name, count };
      }
    }
    if (best !== undefined) return { chosen: best.name, message: '' };
    return {
      chosen: undefined,
      message: total === 0 ? 'no nodes available to schedule pods' : fitText(total, misfits),
    };
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

/** Upstream's sentence. podwire moves no pod for another, as the second half says. */
function fitText(total: number, misfits: ReadonlyMap<string, number>): string {
  const reasons = [...misfits].map(([reason, count]) => `${count} ${reason}`).sort();
  return (
    `0/${total} nodes are available: ${reasons.join(', ')}. preemption: 0/${total} nodes are available: ` +
    `${total} Preemption is not helpful for scheduling.`
  );
}

function isWaiting(pod: Pod): boolean {
  const { spec, metadata } = pod;
  const scheduler = spec.schedulerName ?? SCHEDULER_NAME;
  return (spec.nodeName ?? '') === '' && !metadata.deletionTimestamp && scheduler === SCHEDULER_NAME && !isOver(pod);
}

function isOver({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}
