import { toError } from '../common/errors.ts';
import { ContainerState } from '../cri/index.ts';
import type { Pod, PodStatus } from '../kubeapi/index.ts';
import { adoptedPod, CONFIG_SOURCE } from './adopted-pod.ts';
import type { WaitingReason } from './container-starter.ts';
import { withForeign } from './pod-conditions.ts';
import { DEFAULT_GRACE_SECONDS } from './pod-grace.ts';
import { STARTED_BY } from './pod-labels.ts';
import type { ObservedPod, PodObserver } from './pod-observer.ts';
import { podStatus } from './pod-status.ts';
import type { PodWorker } from './pod-worker.ts';

/** How often the runtime is looked at, in ms: upstream's relist period. */
export const SYNC_PERIOD_MS = 1_000;

/** How often files are looked for that pods have left behind, in ms. */
const SWEEP_PERIOD_MS = 10_000;

/** Where wanted pods come from. */
export interface PodSource {
  /** The value of {@link CONFIG_SOURCE} on its pods. */
  readonly name: 'file' | 'api';
  /** All pods wanted now, or undefined while the source cannot say: then none of its pods is stopped. */
  pods(): Promise<readonly Pod[] | undefined>;
}

/** A pod of this node with its present status. */
export interface NodePod {
  readonly pod: Pod & { readonly status: PodStatus };
  /** `unknown`: this kubelet started it, and where it came from cannot say now whether it is still wanted. */
  readonly source: 'file' | 'api' | 'runtime' | 'unknown';
  /** Its containers are stopped and it is gone from the runtime: the API object may go too. */
  readonly gone: boolean;
}

export interface SyncLoopOptions {
  readonly sources: readonly PodSource[];
  readonly observer: PodObserver;
  readonly worker: PodWorker;
  readonly nodeName: string;
  readonly hostIP: string;
  readonly runtimeName: () => string;
  readonly onError: (message: string) => void;
  /** Called after each look. */
  readonly onPods?: (pods: readonly NodePod[]) => void;
  readonly periodMs?: number;
}

/** What is wanted now, by uid, and the sources that cannot say. */
interface Wanted {
  readonly pods: ReadonlyMap<string, Pod>;
  readonly silent: ReadonlySet<string>;
}

/** A step under way. */
interface Step {
  readonly kind: 'sync' | 'remove';
  readonly done: Promise<void>;
  readonly stop: AbortController;
}

/**
 * Compares what is wanted with what the runtime shows, each second, and does the next step for every pod.
 *
 * A pod whose step takes long (a pull, a grace period) holds up no other: it is left out until its step is done. A pod
 * that is to go ends its own step. A step only follows from a look that began after the pod's last step was done: what
 * an earlier look saw is old by then.
 */
export class SyncLoop {
  readonly #options: SyncLoopOptions;
  /** Steps under way, by uid. */
  readonly #busy = new Map<string, Step>();
  /** Pods with a step under way when the present look began. */
  #stale: ReadonlySet<string> = new Set();
  /** Seconds that each wanted pod gives its containers to end, for when it is wanted no more. */
  readonly #grace = new Map<string, number>();
  readonly #waiting = new Map<string, Map<string, WaitingReason>>();
  #pods: readonly NodePod[] = [];
  #lastLook = 0;
  #lastSweep = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  #nudged = false;
  #complaint = '';

  constructor(options: SyncLoopOptions) {
    this.#options = options;
  }

  /** As of the last look. */
  get pods(): readonly NodePod[] {
    return this.#pods;
  }

  /** When the runtime was last looked at with success, in ms since the epoch; 0 for never. */
  get lastLook(): number {
    return this.#lastLook;
  }

  start(): void {
    if (!this.#stopped) this.#turn();
  }

  /** Something changed: the next look is now, or right after the one under way. */
  nudge(): void {
    if (this.#stopped) return;
    if (this.#running !== undefined) {
      this.#nudged = true;
      return;
    }
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#turn();
  }

  /** Pods stay as they are: a kubelet that restarts finds them again, and goes on with what was to be removed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const { stop } of this.#busy.values()) stop.abort();
    await this.#running;
    for (const { stop } of this.#busy.values()) stop.abort();
    await Promise.all([...this.#busy.values()].map(({ done }) => done));
  }

  #turn(): void {
    this.#nudged = false;
    this.#running = this.look().finally(() => {
      this.#running = undefined;
      if (this.#stopped) return;
      const waitMs = this.#nudged ? 0 : (this.#options.periodMs ?? SYNC_PERIOD_MS);
      this.#timer = setTimeout(() => this.#turn(), waitMs);
    });
  }

  /** One look and the steps that follow from it. Never rejects. */
  async look(): Promise<void> {
    this.#stale = new Set(this.#busy.keys());
    try {
      const observed = await this.#options.observer.observe();
      const wanted = await this.#wanted();
      if (this.#stopped) return;
      this.#step(observed, wanted);
      this.#pods = this.#describe(observed, wanted);
      this.#lastLook = Date.now();
      this.#complaint = '';
      this.#options.onPods?.(this.#pods);
      await this.#sweep(observed, wanted);
    } catch (thrown) {
      const { message } = toError(thrown);
      if (message !== this.#complaint) this.#options.onError(message);
      this.#complaint = message;
    }
  }

  async #wanted(): Promise<Wanted> {
    const pods = new Map<string, Pod>();
    const silent = new Set<string>();
    for (const source of this.#options.sources) {
      const listed = await source.pods();
      if (listed === undefined) silent.add(source.name);
      for (const pod of listed ?? []) {
        const annotations = { ...pod.metadata.annotations, [CONFIG_SOURCE]: source.name };
        pods.set(pod.metadata.uid ?? '', { ...pod, metadata: { ...pod.metadata, annotations } });
      }
    }
    return { pods, silent };
  }

  #step(observed: readonly ObservedPod[], wanted: Wanted): void {
    const shown = new Map(observed.map((pod) => [pod.uid, pod]));
    const last = new Map(this.#pods.map(({ pod }) => [pod.metadata.uid, pod.status]));
    for (const [uid, pod] of wanted.pods) {
      const view = shown.get(uid);
      const grace = pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds;
      this.#grace.set(uid, grace ?? DEFAULT_GRACE_SECONDS);
      if (pod.metadata.deletionTimestamp) {
        this.#endSync(uid);
        if (view !== undefined) this.#remove(view, pod);
        continue;
      }
      // A pod that is over stays over, also when the runtime has forgotten it: nothing in it runs twice.
      // But what stays beside its containers is still to be stopped.
      if (isOver((last.get(uid) ?? pod.status)?.phase) && !hasRunning(view)) continue;
      this.#once(uid, 'sync', (signal) => this.#sync(pod, view, signal));
    }
    for (const view of observed) {
      if (wanted.pods.has(view.uid) || !this.#isOurs(view) || !this.#isKnownUnwanted(view, wanted)) continue;
      this.#endSync(view.uid);
      this.#remove(view);
    }
    this.#forget(shown, wanted);
  }

  /** Sandboxes of others may bear the same annotations: a real kubelet's do. */
  #isOurs({ uid, sandbox }: ObservedPod): boolean {
    return uid !== '' && sandbox.annotations[STARTED_BY] === this.#options.nodeName;
  }

  #isKnownUnwanted({ sandbox }: ObservedPod, { silent }: Wanted): boolean {
    const source = sandbox.annotations[CONFIG_SOURCE] ?? '';
    return !silent.has(source) && this.#options.sources.some(({ name }) => name === source);
  }

  async #sync(pod: Pod, view: ObservedPod | undefined, signal: AbortSignal): Promise<boolean> {
    const { worker } = this.#options;
    const { waiting, acted } = await worker.sync(pod, view, signal);
    this.#waiting.set(pod.metadata.uid ?? '', waiting);
    if (view?.ready === true) await worker.tidy(pod, view);
    return acted;
  }

  #remove(view: ObservedPod, pod?: Pod): void {
    const { uid } = view;
    const known = pod === undefined ? {} : { spec: pod.spec };
    this.#once(uid, 'remove', async (signal) => {
      await this.#options.worker.remove(view, this.#grace.get(uid) ?? DEFAULT_GRACE_SECONDS, { signal, ...known });
      return true;
    });
  }

  /** A pull of an image that nobody waits for any more may take for ever. */
  #endSync(uid: string): void {
    const step = this.#busy.get(uid);
    if (step?.kind === 'sync') step.stop.abort();
  }

  /** A kubelet that was killed, or a pod that never got a sandbox, leaves files. */
  async #sweep(observed: readonly ObservedPod[], { pods, silent }: Wanted): Promise<void> {
    if (silent.size > 0 || Date.now() < this.#lastSweep + SWEEP_PERIOD_MS) return;
    this.#lastSweep = Date.now();
    const { worker } = this.#options;
    const shown = new Set(observed.map(({ uid }) => uid));
    for (const uid of await worker.podsWithFiles()) {
      if (pods.has(uid) || shown.has(uid)) continue;
      this.#once(uid, 'remove', async () => {
        await worker.removeFiles(uid);
        return false;
      });
    }
  }

  /** Pods that are neither wanted nor there leave nothing in memory. */
  #forget(shown: ReadonlyMap<string, ObservedPod>, { pods, silent }: Wanted): void {
    if (silent.size > 0) return;
    for (const uid of this.#grace.keys()) {
      if (pods.has(uid) || shown.has(uid)) continue;
      this.#endSync(uid);
      if (this.#busy.has(uid)) continue;
      this.#grace.delete(uid);
      this.#waiting.delete(uid);
      this.#options.worker.forget(uid);
    }
  }

  /** Does `step` unless one of that pod is or just was under way; one that changed something is looked at right away. */
  #once(uid: string, kind: Step['kind'], step: (signal: AbortSignal) => Promise<boolean>): void {
    if (this.#busy.has(uid) || this.#stale.has(uid)) return;
    const stop = new AbortController();
    const run = async (): Promise<void> => {
      let acted = false;
      try {
        acted = await step(stop.signal);
      } catch (thrown) {
        if (!this.#stopped) this.#options.onError(`pod ${uid}: ${toError(thrown).message}`);
      }
      this.#busy.delete(uid);
      if (acted || stop.signal.aborted) this.nudge();
    };
    // Entered before it runs: a step without a wait would otherwise be over before it is known.
    const done = Promise.resolve().then(run);
    this.#busy.set(uid, { kind, done, stop });
  }

  #describe(observed: readonly ObservedPod[], wanted: Wanted): NodePod[] {
    const { nodeName, hostIP, runtimeName } = this.#options;
    const shown = new Map(observed.map((pod) => [pod.uid, pod]));
    // Conditions keep the time at which they changed: from the last look, or from the apiserver before the first.
    const before = new Map(this.#pods.map(({ pod }) => [pod.metadata.uid, pod.status]));
    const statusBefore = ({ metadata, status = {} }: Pod): PodStatus =>
      withForeign(before.get(metadata.uid) ?? status, status);
    const status = (pod: Pod, view: ObservedPod | undefined): PodStatus =>
      podStatus({ ...pod, status: statusBefore(pod) }, view, {
        hostIP,
        runtimeName: runtimeName(),
        now: new Date(),
        waiting: this.#waiting.get(pod.metadata.uid ?? '') ?? new Map(),
      });
    const pods: NodePod[] = [...wanted.pods.values()].map((pod) => {
      const view = shown.get(pod.metadata.uid ?? '');
      const source = pod.metadata.annotations?.[CONFIG_SOURCE] === 'file' ? 'file' : 'api';
      const gone = view === undefined && Boolean(pod.metadata.deletionTimestamp) && !this.#isUnderWay(pod.metadata.uid);
      return { pod: { ...pod, status: status(pod, view) }, source, gone };
    });
    for (const view of observed) {
      if (wanted.pods.has(view.uid) || (this.#isOurs(view) && this.#isUnderWay(view.uid))) continue;
      const pod = adoptedPod(view, nodeName);
      const source = this.#isOurs(view) && !this.#isKnownUnwanted(view, wanted) ? 'unknown' : 'runtime';
      pods.push({ pod: { ...pod, status: status(pod, view) }, source, gone: false });
    }
    return pods;
  }

  /** What this look saw of the pod may be old, or about to be. */
  #isUnderWay(uid = ''): boolean {
    return this.#busy.has(uid) || this.#stale.has(uid);
  }
}

function hasRunning(view: ObservedPod | undefined): boolean {
  return [...(view?.containers.values() ?? [])].some(({ state }) => state === ContainerState.CONTAINER_RUNNING);
}

function isOver(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}
