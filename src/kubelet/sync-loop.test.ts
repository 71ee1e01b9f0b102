import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { deferred } from '../common/deferred.ts';
import type { Pod, PodPhase } from '../kubeapi/index.ts';
import { STARTED_BY } from './pod-labels.ts';
import type { ObservedPod, PodObserver } from './pod-observer.ts';
import type { PodWorker } from './pod-worker.ts';
import { SyncLoop } from './sync-loop.ts';

/** A sandbox as the runtime shows it. */
function seen(uid: string, annotations: Record<string, string> = {}): ObservedPod {
  const sandbox = { id: `s-${uid}`, createdAt: 0n, labels: {}, annotations, metadata: { name: uid, attempt: 0 } };
  const view = { namespace: 'default', name: uid, uid, sandbox, ready: true, ips: [], hostNetwork: false };
  const nothing = { containers: new Map(), statuses: new Map(), olderSandboxes: [], olderContainers: [] };
  return { ...view, ...nothing } as unknown as ObservedPod;
}

const ours = { [STARTED_BY]: 'n1', 'kubernetes.io/config.source': 'api' };

function pod(uid: string, options: { isDeleted?: boolean; phase?: PodPhase } = {}): Pod {
  return {
    metadata: {
      name: uid,
      namespace: 'default',
      uid,
      ...(options.isDeleted === true
        ? { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 7 }
        : {}),
    },
    spec: { containers: [{ name: 'main', image: 'x' }], terminationGracePeriodSeconds: 3 },
    ...(options.phase === undefined ? {} : { status: { phase: options.phase } }),
  };
}

/** A loop whose looks are made by hand, with a runtime and wishes that a test sets. */
class World {
  wanted: Pod[] | undefined = [];
  shown: ObservedPod[] = [];
  /** Uids of pods that have files on this node. */
  withFiles: string[] = [];
  readonly did: string[] = [];
  /** What a step waits for before it is done. */
  hold: Promise<unknown> = Promise.resolve();
  /** What a look waits for between the runtime's answer and the source's. */
  between: Promise<unknown> = Promise.resolve();
  readonly signals: AbortSignal[] = [];
  readonly loop: SyncLoop;

  constructor() {
    const step = async (what: string, signal?: AbortSignal): Promise<void> => {
      this.did.push(what);
      if (signal !== undefined) this.signals.push(signal);
      await this.hold;
    };
    const worker = {
      sync: async ({ metadata }: Pod, view: ObservedPod | undefined, signal: AbortSignal) => {
        await step(`sync ${metadata.uid}${view === undefined ? '' : ' again'}`, signal);
        return { waiting: new Map(), acted: false };
      },
      remove: ({ uid }: ObservedPod, grace: number, { signal }: { signal: AbortSignal }) =>
        step(`remove ${uid} ${grace}`, signal),
      tidy: async () => {},
      podsWithFiles: async () => this.withFiles,
      removeFiles: (uid: string) => step(`clear ${uid}`),
      forget: () => {},
    };
    this.loop = new SyncLoop({
      observer: { observe: async () => this.shown } as unknown as PodObserver,
      worker: worker as unknown as PodWorker,
      sources: [
        {
          name: 'api',
          pods: async () => {
            await this.between;
            return this.wanted;
          },
        },
      ],
      nodeName: 'n1',
      hostIP: '10.0.0.1',
      runtimeName: () => 'podwire',
      onError: (message) => this.did.push(message),
    });
  }

  /** One look, and the turns that steps without a wait need. */
  async look(): Promise<void> {
    await this.loop.look();
    await nextTurn();
  }
}

describe('the sync loop', () => {
  it('does nothing from a look that began while a step was under way', async () => {
    const world = new World();
    const step = deferred<void>();
    const source = deferred<void>();
    world.wanted = [pod('a')];
    world.hold = step.promise;
    await world.look();
    world.between = source.promise;
    // It sees no sandbox; then the step makes one and is done.
    const stale = world.look();
    await nextTurn();
    step.resolve();
    await nextTurn();
    source.resolve();
    await stale;
    expect(world.did).toEqual(['sync a']);
    world.shown = [seen('a', ours)];
    await world.look();
    expect(world.did).toEqual(['sync a', 'sync a again']);
  });

  it('calls no pod gone from a look that began while a step was under way', async () => {
    const world = new World();
    const step = deferred<void>();
    const source = deferred<void>();
    world.wanted = [pod('a')];
    world.hold = step.promise;
    await world.look();
    world.wanted = [pod('a', { isDeleted: true })];
    world.between = source.promise;
    const stale = world.look();
    await nextTurn();
    step.resolve();
    await nextTurn();
    source.resolve();
    await stale;
    expect(world.loop.pods).toMatchObject([{ gone: false }]);
    await world.look();
    expect(world.loop.pods).toMatchObject([{ gone: true }]);
  });

  it('clears away the files of pods that are neither wanted nor there: their kubelet was killed before it could', async () => {
    const world = new World();
    world.withFiles = ['wanted', 'shown', 'left'];
    world.wanted = [pod('wanted')];
    world.shown = [seen('shown')];
    await world.look();
    expect(world.did).toEqual(['sync wanted', 'clear left']);
  });

  it('clears nothing away while a source cannot say what is wanted', async () => {
    const world = new World();
    world.withFiles = ['left'];
    world.wanted = undefined;
    await world.look();
    expect(world.did).toEqual([]);
    world.wanted = [];
    await world.look();
    expect(world.did).toEqual(['clear left']);
  });

  it('clears nothing away of a pod with a step under way', async () => {
    const world = new World();
    const step = deferred<void>();
    world.hold = step.promise;
    world.shown = [seen('a', ours)];
    await world.look();
    world.shown = [];
    world.withFiles = ['a'];
    await world.look();
    expect(world.did).toEqual(['remove a 30']);
    step.resolve();
  });

  it.each([
    ['is being deleted', [pod('a', { isDeleted: true })]],
    ['is not wanted any more', []],
  ])('ends the step of a pod that %s: its pull may take for ever', async (_title, wanted) => {
    const world = new World();
    const step = deferred<void>();
    world.hold = step.promise;
    world.wanted = [pod('a')];
    await world.look();
    world.wanted = wanted;
    await world.look();
    expect(world.signals.map(({ aborted }) => aborted)).toEqual([true]);
    step.resolve();
    await world.loop.stop();
  });

  it('removes what it started and nobody wants, with the grace that the pod asked for', async () => {
    const world = new World();
    world.wanted = [pod('a'), pod('b')];
    world.shown = [seen('a', ours), seen('b', ours)];
    await world.look();
    world.wanted = [pod('b', { isDeleted: true })];
    await world.look();
    expect(world.did.slice(2)).toEqual(['remove b 7', 'remove a 3']);
  });

  it('never removes what another kubelet started, nor a sandbox without a uid', async () => {
    const world = new World();
    const source = { 'kubernetes.io/config.source': 'api' };
    world.shown = [seen('a', source), seen('b', { ...ours, [STARTED_BY]: 'n2' }), seen('', ours)];
    await world.look();
    expect(world.did).toEqual([]);
    expect(world.loop.pods.map((one) => one.source)).toEqual(['runtime', 'runtime', 'runtime']);
  });

  it('keeps, and reports to nobody, what it started while the source cannot say', async () => {
    const world = new World();
    world.wanted = undefined;
    world.shown = [seen('a', ours)];
    await world.look();
    expect(world.did).toEqual([]);
    expect(world.loop.pods.map((one) => one.source)).toEqual(['unknown']);
  });

  it.each(['Succeeded', 'Failed'] as const)(
    'does not run a pod again that %s, nor change its status',
    async (phase) => {
      const world = new World();
      world.wanted = [pod('a', { phase })];
      await world.look();
      await world.look();
      expect(world.did).toEqual([]);
      expect(world.loop.pods[0]?.pod.status).toEqual({ phase });
    },
  );

  it('stops without waiting for a step’s own end', async () => {
    const world = new World();
    world.wanted = [pod('a')];
    world.hold = new Promise<void>((resolve) => {
      const poll = (): void => (world.signals[0]?.aborted === true ? resolve() : void setImmediate(poll));
      poll();
    });
    await world.look();
    await world.loop.stop();
    world.loop.start();
    await world.look();
    expect(world.did).toEqual(['sync a']);
  });
});
