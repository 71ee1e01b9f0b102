import { toError } from '../common/errors.ts';
import type { Pod, PodStatus } from '../kubeapi/index.ts';
import { adoptedPod, CONFIG_SOURCE } from './adopted-pod.ts';
import type { ObservedPod, PodObserver } from './pod-observer.ts';
import { podStatus } from './pod-status.ts';
import { DEFAULT_GRACE_SECONDS, type PodWorker, type WaitingReason } from './pod-worker.ts';

/** How often the runtime is looked at, in ms: upstream's relist period. */
export const SYNC_PERIOD_MS = 1_000;

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
  readonly source: 'file' | 'api' | 'runtime';
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

/**
 * Compares what is wanted with what the runtime shows, each second, and does the next step for every pod.
 *
 * A pod whose step takes long (a pull, a grace period) holds up no other: it is left out until its step is done.
 */
export class SyncLoop {
  readonly #options: SyncLoopOptions;
  /** Steps under way, by uid. */
  readonly #busy = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Map<string, WaitingReason>>();
  #pods: readonly NodePod[] = [];
  #lastLook = 0;
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
    this.#turn();
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

  /** Pods stay as they are: a kubelet that restarts finds them again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
    await Promise.all(this.#busy.values());
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
    try {
      const observed = await this.#options.observer.observe();
      const wanted = await this.#wanted();
      this.#step(observed, wanted);
      this.#pods = this.#describe(observed, wanted);
      this.#lastLook = Date.now();
      this.#complaint = '';
      this.#options.onPods?.(this.#pods);
    } catch (thrown) {
      const { message } = toError(thrown);
      if (message !== this.#complaint) this.#options.onError(message);
      this.#complaint = message;
    }
  }

  async #wanted(): Promise<{ pods: Map<string, Pod>; silent: Set<string> }> {
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

  #step(observed: readonly ObservedPod[], { pods, silent }: { pods: Map<string, Pod>; silent: Set<string> }): void {
    const shown = new Map(observed.map((pod) => [pod.uid, pod]));
    for (const [uid, pod] of pods) {
      const view = shown.get(uid);
      if (pod.metadata.deletionTimestamp) {
        if (view !== undefined) this.#remove(view, pod.metadata.deletionGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS);
        continue;
      }
      this.#once(uid, async () => {
        const { waiting, acted } = await this.#options.worker.sync(pod, view);
        this.#waiting.set(uid, waiting);
        return acted;
      });
    }
    for (const view of observed) {
      const source = view.sandbox.annotations[CONFIG_SOURCE];
      const ours = source === 'file' || source === 'api';
      if (
        ours &&
        !pods.has(view.uid) &&
        !silent.has(source) &&
        this.#options.sources.some(({ name }) => name === source)
      ) {
        this.#remove(view, DEFAULT_GRACE_SECONDS);
      }
    }
  }

  #remove(view: ObservedPod, graceSeconds: number): void {
    this.#once(view.uid, async () => {
      await this.#options.worker.remove(view, graceSeconds);
      this.#waiting.delete(view.uid);
      return true;
    });
  }

  /** Does `step` unless one of that pod is under way; a step that changed something is looked at right away. */
  #once(uid: string, step: () => Promise<boolean>): void {
    if (this.#busy.has(uid)) return;
    const run = async (): Promise<void> => {
      let acted = false;
      try {
        acted = await step();
      } catch (thrown) {
        this.#options.onError(`pod ${uid}: ${toError(thrown).message}`);
      }
      this.#busy.delete(uid);
      if (acted) this.nudge();
    };
    this.#busy.set(uid, run());
  }

  #describe(observed: readonly ObservedPod[], wanted: { pods: Map<string, Pod> }): NodePod[] {
    const { nodeName, hostIP, runtimeName } = this.#options;
    const shown = new Map(observed.map((pod) => [pod.uid, pod]));
    // Conditions keep the time at which they changed: from the last look, or from the apiserver before the first.
    const before = new Map(this.#pods.map(({ pod }) => [pod.metadata.uid, pod.status]));
    const status = (pod: Pod, view: ObservedPod | undefined): PodStatus =>
      podStatus({ ...pod, status: before.get(pod.metadata.uid) ?? pod.status ?? {} }, view, {
        hostIP,
        runtimeName: runtimeName(),
        now: new Date(),
        waiting: this.#waiting.get(pod.metadata.uid ?? '') ?? new Map(),
      });
    const pods: NodePod[] = [...wanted.pods.values()].map((pod) => {
      const view = shown.get(pod.metadata.uid ?? '');
      const source = pod.metadata.annotations?.[CONFIG_SOURCE] === 'file' ? 'file' : 'api';
      const gone =
        view === undefined && Boolean(pod.metadata.deletionTimestamp) && !this.#busy.has(pod.metadata.uid ?? '');
      return { pod: { ...pod, status: status(pod, view) }, source, gone };
    });
    for (const view of observed) {
      const source = view.sandbox.annotations[CONFIG_SOURCE];
      if (wanted.pods.has(view.uid) || ((source === 'file' || source === 'api') && this.#busy.has(view.uid))) continue;
      const pod = adoptedPod(view, nodeName);
      pods.push({ pod: { ...pod, status: status(pod, view) }, source: 'runtime', gone: false });
    }
    return pods;
  }
}
