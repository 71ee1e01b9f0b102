import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { controlledRegistry } from '../../test/support/controlled-registry.ts';
import { nodeNamed, onSomeNode, podNamed, refused, scheduled, until } from '../../test/support/scheduled-pods.ts';
import { deferred } from '../common/deferred.ts';
import { events, namespaces, nodes, pods } from '../kubeapi/index.ts';
import { MemoryStore } from '../store/index.ts';
import type { ApiObject } from './api-object.ts';
import { type ControllersOptions, startControllers } from './controllers.ts';
import { bindPod } from './pod-binding.ts';
import { Registry } from './registry.ts';
import { allResources } from './resources.ts';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function world(options: Partial<ControllersOptions> = {}): Promise<Registry> {
  const { registry, close } = await controlledRegistry({ names: ['scheduler'], ...options });
  closers.push(close);
  return registry;
}

describe('the scheduler', () => {
  it('spreads pods over the nodes that are ready, fewest pods first', async () => {
    const registry = await world();
    for (const name of ['n1', 'n2']) await registry.create(nodes, nodeNamed(name));
    await registry.create(nodes, nodeNamed('n3', { ready: 'False' }));
    await registry.create(nodes, nodeNamed('n4', { spec: { unschedulable: true } }));
    const names = ['a', 'b', 'c', 'd'];
    for (const name of names) await registry.create(pods, podNamed(name));
    const placed = [];
    for (const name of names) placed.push(scheduled(await until(registry, pods, name, onSomeNode)));
    expect(placed.map(({ node }) => node).sort()).toEqual(['n1', 'n1', 'n2', 'n2']);
    expect(placed[0]?.condition).toMatchObject({ status: 'True' });
  });

  it('says why a pod fits nowhere, and places it when that changes', async () => {
    const registry = await world();
    await registry.create(pods, podNamed('web', { nodeSelector: { disk: 'ssd' } }));
    expect(scheduled(await until(registry, pods, 'web', refused)).condition).toMatchObject({
      reason: 'Unschedulable',
      message: 'no nodes available to schedule pods',
    });
    await registry.create(nodes, nodeNamed('n1'));
    await registry.create(
      nodes,
      nodeNamed('n2', { spec: { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] }, labels: { disk: 'ssd' } }),
    );
    const message =
      "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint " +
      '{k: v}. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.';
    await until(registry, pods, 'web', (pod) => pod !== undefined && scheduled(pod).condition?.['message'] === message);
    await registry.create(
      pods,
      podNamed('tolerant', { tolerations: [{ key: 'k', operator: 'Exists' }], nodeSelector: { disk: 'ssd' } }),
    );
    expect(scheduled(await until(registry, pods, 'tolerant', onSomeNode)).node).toBe('n2');
    await registry.update(nodes, { namespace: '', name: 'n1' }, (node) => ({
      ...node,
      metadata: { ...node.metadata, labels: { disk: 'ssd' } },
    }));
    expect(scheduled(await until(registry, pods, 'web', onSomeNode)).node).toBe('n1');
    const seen = (await registry.list(events, { fieldSelector: 'involvedObject.name=web' })).items;
    expect(seen.map((event) => event['reason'])).toContain('FailedScheduling');
  });

  it('keeps pods apart that want to be, also those that come at once', async () => {
    const registry = await world();
    for (const name of ['n1', 'n2']) await registry.create(nodes, nodeNamed(name, { labels: { host: name } }));
    const term = { topologyKey: 'host', labelSelector: { matchLabels: { app: 'db' } } };
    const affinity = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
    const names = ['a', 'b', 'c'];
    for (const name of names) {
      const pod = podNamed(name, { affinity });
      await registry.create(pods, { ...pod, metadata: { ...pod.metadata, labels: { app: 'db' } } });
    }
    const placed = [];
    for (const name of ['a', 'b']) placed.push(scheduled(await until(registry, pods, name, onSomeNode)).node);
    expect(placed.sort()).toEqual(['n1', 'n2']);
    expect(scheduled(await until(registry, pods, 'c', refused)).condition).toMatchObject({
      reason: 'Unschedulable',
      message:
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. preemption: 0/2 nodes are available: " +
        '2 No preemption victims found for incoming pod.',
    });
    const { node } = scheduled(await registry.get(pods, { namespace: 'default', name: 'a' }));
    await registry.delete(pods, { namespace: 'default', name: 'a' }, { gracePeriodSeconds: 0 });
    expect(scheduled(await until(registry, pods, 'c', onSomeNode)).node).toBe(node);
  });

  it('leaves gated pods and those of another scheduler alone', async () => {
    const registry = await world();
    await registry.create(nodes, nodeNamed('n1'));
    await registry.create(pods, podNamed('other', { schedulerName: 'mine' }));
    await registry.create(pods, podNamed('gated', { schedulingGates: [{ name: 'x' }] }));
    const gated = await until(registry, pods, 'gated', refused);
    expect(scheduled(gated).condition).toMatchObject({ reason: 'SchedulingGated' });
    expect(scheduled(await registry.get(pods, { namespace: 'default', name: 'other' })).node).toBe('');
    await registry.update(pods, { namespace: 'default', name: 'gated' }, (pod) => ({
      ...pod,
      spec: { ...(pod['spec'] as object), schedulingGates: [] },
    }));
    expect(scheduled(await until(registry, pods, 'gated', onSomeNode)).node).toBe('n1');
  });

  it('binds a pod once, whoever else tries', async () => {
    const registry = await world({ names: [] });
    await registry.create(pods, podNamed('web'));
    const address = { namespace: 'default', name: 'web' };
    const outcomes = await Promise.allSettled(['n1', 'n2', 'n3'].map((node) => bindPod(registry, address, { node })));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(bindPod(registry, address, { node: 'n9' })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringMatching(
        /^Operation cannot be fulfilled on pods\/binding "web": pod web is already assigned to node "n[123]"$/,
      ),
    });
  });
});

/** The registry of a scheduler, beside which others write: it shows what happens between its writes and its watches. */
class RacedRegistry extends Registry {
  /** Done instead of each write of the kind, which it may do itself. */
  readonly around: { bind?: Around; status?: Around } = {};
  /** What the watches have yet to show waits for it. */
  gate: (object: ApiObject) => Promise<void> | undefined = () => undefined;
  readonly #waiting = new Set<{ isRight: (object: ApiObject) => boolean; resolve: () => void }>();

  /** Settles when a watch has shown such an object and what it means has been noted. */
  seen(isRight: (object: ApiObject) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add({ isRight, resolve });
    });
  }

  override async *watch(...args: Parameters<Registry['watch']>): ReturnType<Registry['watch']> {
    for await (const event of super.watch(...args)) {
      if (event.type !== 'BOOKMARK') await this.gate(event.object);
      yield event;
      if (event.type === 'BOOKMARK') continue;
      for (const one of this.#waiting) {
        if (!one.isRight(event.object)) continue;
        this.#waiting.delete(one);
        one.resolve();
      }
    }
  }

  override update(...args: Parameters<Registry['update']>): Promise<ApiObject> {
    const write = (): Promise<ApiObject> => super.update(...args);
    const scope = args[3]?.scope;
    const around = scope === 'all' ? this.around.bind : scope === 'status' ? this.around.status : undefined;
    return around === undefined ? write() : around(write);
  }
}

type Around = (write: () => Promise<ApiObject>) => Promise<ApiObject>;

describe('a scheduler among others', () => {
  const a = { namespace: 'default', name: 'a' };
  const small = (name: string): ApiObject => {
    const node = nodeNamed(name);
    return { ...node, status: { ...(node['status'] as object), allocatable: { pods: '1' } } };
  };
  const isA = (object: ApiObject): boolean => object.kind === 'Pod' && object.metadata.name === 'a';
  const isTold = (pod: ApiObject | undefined): boolean => refused(pod) || onSomeNode(pod);

  async function raced(): Promise<{ registry: Registry; racing: RacedRegistry; problems: Error[]; start: () => void }> {
    const store = new MemoryStore();
    const registry = new Registry(store, allResources());
    await registry.createLastingNamespaces();
    const racing = new RacedRegistry(store, allResources());
    const problems: Error[] = [];
    closers.push(() => store.close());
    const start = (): void => {
      const onProblem = (problem: Error): void => void problems.push(problem);
      closers.push(startControllers(racing, { names: ['scheduler'], onProblem }));
    };
    return { registry, racing, problems, start };
  }

  it('keeps in mind a pod that somebody else was first to bind', async () => {
    const { registry, racing, problems, start } = await raced();
    for (const name of ['n1', 'n2']) await registry.create(nodes, small(name));
    racing.around.bind = async (write) => {
      delete racing.around.bind;
      const seen = racing.seen((object) => isA(object) && onSomeNode(object));
      await bindPod(registry, a, { node: 'n2' });
      await seen;
      return write();
    };
    start();
    await registry.create(pods, podNamed('a'));
    await until(registry, pods, 'a', onSomeNode);
    await registry.create(pods, podNamed('b'));
    expect(scheduled(await until(registry, pods, 'b', isTold)).node).toBe('n1');
    await registry.create(pods, podNamed('c'));
    expect(scheduled(await until(registry, pods, 'c', isTold))).toMatchObject({
      node: '',
      condition: { message: expect.stringContaining('0/2 nodes are available: 2 Too many pods') },
    });
    expect(problems).toEqual([]);
  });

  it('binds a pod that could not be bound a moment ago', async () => {
    const { registry, racing, problems, start } = await raced();
    await registry.create(nodes, nodeNamed('n1'));
    racing.around.bind = async () => {
      delete racing.around.bind;
      throw new Error('the store is away');
    };
    start();
    await registry.create(pods, podNamed('a'));
    expect(scheduled(await until(registry, pods, 'a', onSomeNode)).node).toBe('n1');
    expect(problems.map(({ message }) => message)).toEqual(['the store is away']);
  });

  it('binds a pod of the same name that came while the one before it was bound', async () => {
    const { registry, racing, start } = await raced();
    await registry.create(nodes, small('n1'));
    racing.around.bind = async (write) => {
      delete racing.around.bind;
      const bound = await write();
      await registry.delete(pods, a, { gracePeriodSeconds: 0 });
      const seen = racing.seen((object) => isA(object) && object.metadata.uid !== bound.metadata.uid);
      await registry.create(pods, podNamed('a'));
      await seen;
      return bound;
    };
    start();
    const { metadata } = await registry.create(pods, podNamed('a'));
    const isNext = (pod: ApiObject | undefined): boolean => pod?.metadata.uid !== metadata.uid && onSomeNode(pod);
    expect(scheduled(await until(registry, pods, 'a', isNext)).node).toBe('n1');
  });

  it('binds a pod once, also when its watch is behind', async () => {
    const { registry, racing, start } = await raced();
    await registry.create(nodes, nodeNamed('n1'));
    let binds = 0;
    const [labels, nodeName] = [deferred<void>(), deferred<void>()];
    const isRelabelled = (object: ApiObject): boolean => isA(object) && object.metadata.labels?.['is'] === 'new';
    racing.gate = (object) => {
      if (!isRelabelled(object)) return undefined;
      return (onSomeNode(object) ? nodeName : labels).promise;
    };
    const relabelled = racing.seen(isRelabelled);
    racing.around.bind = async (write) => {
      binds += 1;
      const label = (pod: ApiObject): ApiObject => ({ ...pod, metadata: { ...pod.metadata, labels: { is: 'new' } } });
      if (binds === 1) await registry.update(pods, a, label);
      const bound = await write();
      void nextTurn().then(() => labels.resolve());
      return bound;
    };
    start();
    await registry.create(pods, podNamed('a'));
    await relabelled;
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    nodeName.resolve();
    expect(binds).toBe(1);
    expect(onSomeNode(await registry.get(pods, a))).toBe(true);
  });

  it('says nothing of a pod that has found a node', async () => {
    const { registry, racing, start } = await raced();
    await registry.create(nodes, nodeNamed('n1', { ready: 'False' }));
    const said = deferred<void>();
    racing.around.status = async (write) => {
      await bindPod(registry, a, { node: 'n1' });
      return write().finally(() => said.resolve());
    };
    start();
    await registry.create(pods, podNamed('a'));
    await said.promise;
    expect(scheduled(await registry.get(pods, a)).condition).toMatchObject({ status: 'True' });
    expect((await registry.list(events)).items).toEqual([]);
  });

  it('lets others work while it looks at many pods', async () => {
    const { registry, start } = await raced();
    const count = 300;
    for (let at = 0; at < count; at += 1) await registry.create(pods, podNamed(`p${at}`));
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    start();
    const isSaid = async (): Promise<boolean> => (await registry.list(pods)).items.every((pod) => refused(pod));
    while (!(await isSaid())) await nextTurn();
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(count);
  });

  it('looks again when something has changed that may help, not at every sign of life', async () => {
    const { registry, racing, start } = await raced();
    await registry.create(nodes, nodeNamed('n1'));
    start();
    const picky = { nodeSelector: { disk: 'ssd' } };
    await registry.create(pods, podNamed('a', picky));
    const told = scheduled(await until(registry, pods, 'a', refused)).condition;
    const n1 = { namespace: '', name: 'n1' };
    const heartbeat = { type: 'Ready', status: 'True', lastHeartbeatTime: '2026-11-26T00:00:10Z' };
    const silences: [Parameters<Registry['update']>, string][] = [
      [[pods, a, (pod) => ({ ...pod, status: { phase: 'Pending' } }), { scope: 'status' }], 'Pod'],
      [[nodes, n1, (node) => ({ ...node, status: { conditions: [heartbeat] } }), { scope: 'status' }], 'Node'],
      [
        [
          namespaces,
          { namespace: '', name: 'default' },
          (one) => ({ ...one, metadata: { ...one.metadata, annotations: { a: 'b' } } }),
        ],
        'Namespace',
      ],
    ];
    for (const [at, [args, kind]] of silences.entries()) {
      const seen = racing.seen((object) => object.kind === kind);
      await registry.update(...args);
      await seen;
      await registry.create(pods, podNamed(`probe${at}`, picky));
      await until(registry, pods, `probe${at}`, refused);
      expect(scheduled(await registry.get(pods, a)).condition, kind).toBeUndefined();
    }
    const taint = { key: 'k', effect: 'NoSchedule' };
    await registry.update(nodes, n1, (node) => ({ ...node, spec: { taints: [taint] } }));
    const again = scheduled(await until(registry, pods, 'a', refused)).condition;
    expect(again?.['message']).not.toBe(told?.['message']);
  });

  it('looks again at pods that want others, when one of these comes', async () => {
    const { registry, start } = await raced();
    await registry.create(nodes, nodeNamed('n1', { labels: { zone: 'a' } }));
    start();
    const term = { topologyKey: 'zone', labelSelector: { matchLabels: { app: 'db' } } };
    const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
    await registry.create(pods, podNamed('a', { affinity }));
    await until(registry, pods, 'a', refused);
    const db = podNamed('db');
    await registry.create(pods, { ...db, metadata: { ...db.metadata, labels: { app: 'db' } } });
    expect(scheduled(await until(registry, pods, 'a', onSomeNode)).node).toBe('n1');
  });
});
