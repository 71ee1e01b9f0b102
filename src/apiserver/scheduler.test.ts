import { afterEach, describe, expect, it } from 'vitest';
import { nodeNamed, onSomeNode, podNamed, refused, scheduled, until } from '../../test/support/scheduled-pods.ts';
import { events, nodes, pods } from '../kubeapi/index.ts';
import { MemoryStore } from '../store/index.ts';
import { type ControllersOptions, startControllers } from './controllers.ts';
import { bindPod } from './pod-binding.ts';
import { Registry } from './registry.ts';
import { allResources } from './resources.ts';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function world(options: Partial<ControllersOptions> = {}): Promise<Registry> {
  const registry = new Registry(new MemoryStore(), allResources());
  await registry.createLastingNamespaces();
  const onProblem = (problem: Error): void => {
    throw problem;
  };
  closers.push(() => registry.close());
  closers.push(startControllers(registry, { names: ['scheduler'], onProblem, ...options }));
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
