import { afterEach, describe, expect, it } from 'vitest';
import { controlledRegistry } from '../../test/support/controlled-registry.ts';
import { nodeNamed, podNamed, refused, until } from '../../test/support/scheduled-pods.ts';
import { deferred } from '../common/deferred.ts';
import { events, namespaces, nodes, pods } from '../kubeapi/index.ts';
import { MemoryStore } from '../store/index.ts';
import type { ApiObject } from './api-object.ts';
import { type ControllersOptions, startControllers } from './controllers.ts';
import { findPodLocation } from './pod-location.ts';
import { Registry } from './registry.ts';
import { allResources } from './resources.ts';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function world(options: Partial<ControllersOptions> = {}): Promise<Registry> {
  const { registry, close } = await controlledRegistry({ names: ['scheduler', 'namespace'], ...options });
  closers.push(close);
  return registry;
}

/** Another apiserver on the same store, whose watches stand still once they have shown what is there. */
class RegistryBehind extends Registry {
  readonly #opened = deferred<undefined>();
  readonly #tried = deferred<undefined>();
  /** Settles when something was to be written. */
  readonly tried = this.#tried.promise;

  /** Lets its controllers know that they have seen everything. */
  open(): void {
    this.#opened.resolve(undefined);
  }

  override async *watch(...args: Parameters<Registry['watch']>): ReturnType<Registry['watch']> {
    for await (const event of super.watch(...args)) {
      if (event.type === 'BOOKMARK') await this.#opened.promise;
      yield event;
      if (event.type === 'BOOKMARK') await this.tried;
    }
  }

  override async update(...args: Parameters<Registry['update']>): Promise<ApiObject> {
    const updated = await super.update(...args);
    this.#tried.resolve(undefined);
    return updated;
  }
}

describe('controllers of two apiservers on one store', () => {
  async function both(
    names: ControllersOptions['names'],
    prepare: (registry: Registry) => Promise<unknown>,
  ): Promise<{ first: Registry; behind: RegistryBehind; stop: () => Promise<unknown> }> {
    const store = new MemoryStore();
    const first = new Registry(store, allResources());
    await first.createLastingNamespaces();
    await prepare(first);
    const behind = new RegistryBehind(store, allResources());
    const onProblem = (problem: Error): void => {
      throw problem;
    };
    const options = { names, onProblem, graceMs: 50, periodMs: 10 };
    const stops = [behind, first].map((registry) => startControllers(registry, options));
    closers.push(() => store.close());
    return { first, behind, stop: () => Promise.all(stops.map((stop) => stop())) };
  }

  const reasonsOf = async (registry: Registry): Promise<unknown[]> =>
    (await registry.list(events)).items.map((event) => [event['reason'], event['count']]);

  it('say once that a pod fits nowhere', async () => {
    const prepare = (registry: Registry): Promise<unknown> => registry.create(pods, podNamed('web'));
    const { first, behind, stop } = await both(['scheduler'], prepare);
    const told = await until(first, pods, 'web', refused);
    behind.open();
    await behind.tried;
    await stop();
    expect(await first.get(pods, { namespace: 'default', name: 'web' })).toEqual(told);
    expect(await reasonsOf(first)).toEqual([['FailedScheduling', 1]]);
  });

  it('miss a silent node once, and finish what one of them left', async () => {
    const ready = [{ type: 'Ready', status: 'True' }];
    const web = { namespace: 'default', name: 'web' };
    const setReady = (pod: ApiObject): ApiObject => ({ ...pod, status: { phase: 'Running', conditions: ready } });
    const isUnready = (pod: ApiObject | undefined): boolean => JSON.stringify(pod?.['status']).includes('"False"');
    const { first, behind, stop } = await both(['nodelifecycle'], async (registry) => {
      await registry.create(nodes, nodeNamed('n1'));
      await registry.create(pods, podNamed('web', { nodeName: 'n1' }));
      await registry.update(pods, web, setReady, { scope: 'status' });
    });
    await until(first, pods, 'web', isUnready);
    const silent = await first.get(nodes, { namespace: '', name: 'n1' });
    // As if the first had been killed between the two.
    await first.update(pods, web, setReady, { scope: 'status' });
    behind.open();
    await until(first, pods, 'web', isUnready);
    await stop();
    expect(await first.get(nodes, { namespace: '', name: 'n1' })).toEqual(silent);
    // The node once, the pod by each.
    expect(await reasonsOf(first)).toEqual(Array.from({ length: 3 }, () => ['NodeNotReady', 1]));
  });
});

describe('the namespace controller', () => {
  it('empties a namespace that is deleted, waits for pods that end, and lets it go', async () => {
    const registry = await world({ names: ['namespace'] });
    await registry.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'mine' } });
    await registry.create(pods, podNamed('waiting', {}, 'mine'));
    await registry.create(pods, podNamed('running', { nodeName: 'n1' }, 'mine'));
    await registry.delete(namespaces, { namespace: '', name: 'mine' });
    await until(registry, pods, 'waiting', (pod) => pod === undefined);
    const ending = await until(registry, pods, 'running', (pod) => Boolean(pod?.metadata.deletionTimestamp));
    expect(await registry.get(namespaces, { namespace: '', name: 'mine' })).toMatchObject({
      status: { phase: 'Terminating' },
    });
    await registry.delete(pods, { namespace: 'mine', name: ending.metadata.name }, { gracePeriodSeconds: 0 });
    await until(registry, namespaces, 'mine', (one) => one === undefined);
  });
});

describe('the node controller', () => {
  it('marks a silent node and its pods not ready, fails sessions to it at once, and takes it back', async () => {
    const registry = await world({ names: ['nodelifecycle'], graceMs: 50, periodMs: 10 });
    const n1 = { namespace: '', name: 'n1' };
    await registry.create(nodes, nodeNamed('n1'));
    await registry.create(pods, podNamed('web', { nodeName: 'n1' }));
    const ready = [{ type: 'Ready', status: 'True' }];
    const setPod = (pod: ApiObject): ApiObject => ({ ...pod, status: { phase: 'Running', conditions: ready } });
    await registry.update(pods, { namespace: 'default', name: 'web' }, setPod, { scope: 'status' });
    const silent = await until(registry, nodes, 'n1', (node) => JSON.stringify(node?.['status']).includes('Unknown'));
    expect(silent).toMatchObject({
      status: {
        conditions: [{ type: 'Ready', reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting node status.' }],
      },
    });
    await until(registry, pods, 'web', (pod) => JSON.stringify(pod?.['status']).includes('"False"'));
    const target = { namespace: 'default', pod: 'web', subresource: 'exec' } as const;
    await expect(findPodLocation(registry, target)).rejects.toMatchObject({
      code: 'ERR_NODE_SILENT',
      message: expect.stringMatching(
        /^error dialing backend: node n1 is not ready since .*Z: Kubelet stopped posting node status\.$/,
      ),
    });
    await registry.update(nodes, n1, (node) => ({ ...node, status: nodeNamed('n1')['status'] }), { scope: 'status' });
    expect(await findPodLocation(registry, target)).toMatchObject({ host: '10.0.0.1' });
  });

  it('does not miss a kubelet that has never reported: whoever made its node by hand knows of it', async () => {
    const registry = await world({ names: ['nodelifecycle'], graceMs: 50, periodMs: 10 });
    const byHand = { ...nodeNamed('by-hand'), status: { addresses: [] } };
    await registry.create(nodes, byHand);
    await registry.create(nodes, nodeNamed('n1'));
    const isUnknown = (node: ApiObject | undefined): boolean => JSON.stringify(node?.['status']).includes('Unknown');
    // Created later, and looked at in the same look.
    await until(registry, nodes, 'n1', isUnknown);
    expect(isUnknown(await registry.get(nodes, { namespace: '', name: 'by-hand' }))).toBe(false);
  });
});
