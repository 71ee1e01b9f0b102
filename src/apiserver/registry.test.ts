import { beforeEach, describe, expect, it } from 'vitest';
import { namespaces, nodes, pods } from '../kubeapi/index.ts';
import { MemoryStore } from '../store/index.ts';
import type { ApiObject } from './api-object.ts';
import type { ObjectWatchEvent } from './object-watch.ts';
import { bindPod } from './pod-binding.ts';
import { Registry } from './registry.ts';
import { allResources } from './resources.ts';

function podNamed(name: string, more: Partial<ApiObject> = {}, labels: Record<string, string> = {}): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels },
    spec: { containers: [{ name: 'main', image: 'busybox:1' }] },
    ...more,
  };
}

let registry: Registry;
const web = { namespace: 'default', name: 'web' };

beforeEach(async () => {
  registry = new Registry(new MemoryStore(), allResources());
  await registry.createLastingNamespaces();
  return () => registry.close();
});

describe('the registry', () => {
  it('gives a new object its uid, time, generation, version and defaults, and drops what only it may say', async () => {
    const created = await registry.create(pods, {
      ...podNamed('web'),
      metadata: { ...podNamed('web').metadata, uid: 'mine', deletionTimestamp: '2020-01-01T00:00:00Z' },
      status: { phase: 'Running' },
    });
    expect(created.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(created.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(created.metadata).toMatchObject({ generation: 1, resourceVersion: '6' });
    expect(created.metadata.deletionTimestamp).toBeUndefined();
    expect(created['status']).toEqual({ phase: 'Pending', qosClass: 'BestEffort' });
    expect(created['spec']).toMatchObject({
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      containers: [{ name: 'main', imagePullPolicy: 'IfNotPresent' }],
    });
    expect(await registry.get(pods, web)).toEqual(created);
  });

  it('takes of a pod with ephemeral containers these alone, and what was added stays', async () => {
    await registry.create(pods, podNamed('web', {}, { app: 'web' }));
    const add = (image: string): Promise<ApiObject> =>
      registry.update(
        pods,
        web,
        (pod) => ({
          ...pod,
          metadata: { ...pod.metadata, labels: { a: 'b' } },
          spec: { containers: [], ephemeralContainers: [{ name: 'debugger', image }] },
        }),
        { scope: 'ephemeralContainers' },
      );
    expect(await add('busybox:1')).toMatchObject({
      metadata: { generation: 2, labels: { app: 'web' } },
      spec: { containers: [{ name: 'main' }], ephemeralContainers: [{ name: 'debugger' }] },
    });
    await expect(add('busybox:2')).rejects.toThrow('existing ephemeral containers "debugger" may not be changed');
  });

  it('says with upstream’s words what is not there, is there already, or has changed', async () => {
    await expect(registry.get(pods, web)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: 'pods "web" not found',
      details: { name: 'web', kind: 'pods' },
    });
    await expect(
      registry.create(pods, { ...podNamed('web'), metadata: { name: 'web', namespace: 'nope' } }),
    ).rejects.toMatchObject({ message: 'namespaces "nope" not found' });
    const created = await registry.create(pods, podNamed('web'));
    await expect(registry.create(pods, podNamed('web'))).rejects.toMatchObject({
      code: 'ERR_ALREADY_EXISTS',
      message: 'pods "web" already exists',
    });
    await registry.update(pods, web, (pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { a: 'b' } } }));
    await expect(registry.update(pods, web, () => created)).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message:
        'Operation cannot be fulfilled on pods "web": the object has been modified; ' +
        'please apply your changes to the latest version and try again',
    });
  });

  it('reports every broken field in one answer', async () => {
    const broken = podNamed('Web', { spec: { containers: [{ name: 'a', image: 'x' }, { name: 'a' }] } });
    await expect(registry.create(pods, broken)).rejects.toMatchObject({
      code: 'ERR_INVALID',
      message: expect.stringMatching(
        /^Pod "Web" is invalid: \[metadata.name: Invalid value: "Web": .*, spec.containers\[1\].image: Required value, spec.containers\[1\].name: Duplicate value: "a"\]$/,
      ),
      details: { causes: [{ field: 'metadata.name' }, { reason: 'FieldValueRequired' }, {}] },
    });
    expect((await registry.list(pods)).items).toEqual([]);
  });

  it('makes a name from generateName', async () => {
    const { metadata } = await registry.create(pods, {
      ...podNamed(''),
      metadata: { name: '', generateName: 'web-', namespace: 'default' },
    });
    expect(metadata.name).toMatch(/^web-[b-z2-9]{5}$/);
  });

  it('keeps status and the rest apart, and counts generations of the spec alone', async () => {
    await registry.create(pods, podNamed('web'));
    const running = await registry.update(
      pods,
      web,
      (pod) => ({ ...pod, spec: { containers: [] }, status: { phase: 'Running' } }),
      { scope: 'status' },
    );
    expect(running['status']).toEqual({ phase: 'Running', qosClass: 'BestEffort' });
    expect(running['spec']).toMatchObject({ containers: [{ name: 'main' }] });
    const changed = await registry.update(pods, web, (pod) => ({
      ...podNamed('web', { spec: { ...(pod['spec'] as object), activeDeadlineSeconds: 5 } }),
      status: { phase: 'Failed' },
    }));
    expect(changed['status']).toEqual(running['status']);
    expect(changed.metadata.generation).toBe(2);
    await expect(
      registry.update(pods, web, (pod) => ({ ...pod, spec: { ...(pod['spec'] as object), nodeName: 'n9' } })),
    ).rejects.toMatchObject({ code: 'ERR_INVALID' });
  });

  it('writes nothing for a change that changes nothing, and nothing in a dry run', async () => {
    const before = await registry.create(pods, podNamed('web'));
    const same = await registry.update(pods, web, (pod) => ({ ...pod }));
    expect(same.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    await registry.create(pods, podNamed('other'), { dryRun: true });
    await registry.update(pods, web, (pod) => ({ ...pod, status: { phase: 'Failed' } }), {
      scope: 'status',
      dryRun: true,
    });
    await registry.delete(pods, web, { dryRun: true });
    expect((await registry.list(pods)).items).toEqual([before]);
  });

  it('computes a change anew when another one comes in between', async () => {
    await registry.create(pods, podNamed('web'));
    let interfere = true;
    const label = (key: string) => (pod: ApiObject) => ({
      ...pod,
      metadata: { ...pod.metadata, resourceVersion: '', labels: { ...pod.metadata.labels, [key]: 'yes' } },
    });
    const done = await registry.update(pods, web, async (pod) => {
      if (interfere) {
        interfere = false;
        await registry.update(pods, web, label('theirs'));
      }
      return label('ours')(pod);
    });
    expect(done.metadata.labels).toEqual({ theirs: 'yes', ours: 'yes' });
  });

  it('pages through one revision and says how many remain', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e'])
      await registry.create(pods, podNamed(name, {}, { odd: String('ace'.includes(name)) }));
    const first = await registry.list(pods, { limit: 2 });
    expect(first.metadata.remainingItemCount).toBe(3);
    await registry.delete(pods, { namespace: 'default', name: 'd' });
    const second = await registry.list(pods, { limit: 9, continue: first.metadata.continue ?? '' });
    expect([...first.items, ...second.items].map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(second.metadata).toEqual({ resourceVersion: first.metadata.resourceVersion });
    const odd = await registry.list(pods, { limit: 2, labelSelector: 'odd=true' });
    expect(odd.items.map(({ metadata }) => metadata.name)).toEqual(['a', 'c']);
    expect(odd.metadata.remainingItemCount).toBeUndefined();
    const last = await registry.list(pods, {
      limit: 2,
      labelSelector: 'odd=true',
      continue: odd.metadata.continue ?? '',
    });
    expect(last.items.map(({ metadata }) => metadata.name)).toEqual(['e']);
    await expect(registry.list(pods, { continue: 'x' })).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST' });
  });

  it('selects by namespace and by upstream’s fields, and refuses others', async () => {
    await registry.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } });
    await registry.create(pods, podNamed('web', { spec: { ...(podNamed('x')['spec'] as object), nodeName: 'n1' } }));
    await registry.create(pods, { ...podNamed('web'), metadata: { name: 'web', namespace: 'other' } });
    const names = async (options: object): Promise<string[]> =>
      (await registry.list(pods, options)).items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    expect(await names({})).toEqual(['default/web', 'other/web']);
    expect(await names({ namespace: 'other' })).toEqual(['other/web']);
    expect(await names({ fieldSelector: 'spec.nodeName=n1' })).toEqual(['default/web']);
    expect(await names({ fieldSelector: 'spec.nodeName!=n1,status.phase==Pending' })).toEqual(['other/web']);
    await expect(registry.list(pods, { fieldSelector: 'spec.foo=1' })).rejects.toMatchObject({
      message: 'field label not supported: spec.foo',
    });
  });

  it('lets a pod on a node finish, a pod on none go at once, and force win', async () => {
    const spec = { ...(podNamed('x')['spec'] as object), nodeName: 'n1' };
    await registry.create(pods, podNamed('idle'));
    expect(await registry.delete(pods, { namespace: 'default', name: 'idle' })).toMatchObject({ isGone: true });
    const { metadata } = await registry.create(pods, podNamed('web', { spec }));
    const marked = await registry.delete(pods, web);
    expect(marked.isGone).toBe(false);
    expect(marked.object.metadata.deletionGracePeriodSeconds).toBe(30);
    expect(await registry.delete(pods, web)).toMatchObject({ object: { metadata: marked.object.metadata } });
    const shorter = await registry.delete(pods, web, { gracePeriodSeconds: 5 });
    expect(Date.parse(marked.object.metadata.deletionTimestamp ?? '')).toBe(
      Date.parse(shorter.object.metadata.deletionTimestamp ?? '') + 25_000,
    );
    await expect(
      registry.delete(pods, web, { gracePeriodSeconds: 0, preconditions: { uid: 'other' } }),
    ).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    const uid = metadata.uid ?? '';
    expect(await registry.delete(pods, web, { gracePeriodSeconds: 0, preconditions: { uid } })).toMatchObject({
      isGone: true,
    });
    await expect(registry.get(pods, web)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  it('keeps an object until its last finalizer is gone', async () => {
    await registry.create(nodes, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n1', finalizers: ['example.com/hold'] },
    });
    const address = { namespace: '', name: 'n1' };
    expect(await registry.delete(nodes, address)).toMatchObject({ isGone: false });
    const again = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } };
    for (const dryRun of [false, true]) {
      await expect(registry.create(nodes, again, { dryRun })).rejects.toMatchObject({
        code: 'ERR_ALREADY_EXISTS',
        message: 'object is being deleted: nodes "n1" already exists',
        details: { name: 'n1', kind: 'nodes' },
      });
    }
    await registry.update(nodes, address, (node) => ({ ...node, metadata: { ...node.metadata, finalizers: [] } }));
    await expect(registry.get(nodes, address)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  it('keeps a namespace that is deleted until somebody has emptied it, takes nothing new into it, and keeps the lasting ones', async () => {
    const mine = { namespace: '', name: 'mine' };
    await registry.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'mine' } });
    const { object } = await registry.delete(namespaces, mine);
    expect(object).toMatchObject({
      status: { phase: 'Terminating' },
      metadata: { deletionTimestamp: expect.anything() },
    });
    const late = { ...podNamed('web'), metadata: { name: 'web', namespace: 'mine' } };
    await expect(registry.create(pods, late)).rejects.toMatchObject({
      code: 'ERR_FORBIDDEN',
      message: 'pods "web" is forbidden: unable to create new content in namespace mine because it is being terminated',
    });
    await registry.update(namespaces, mine, (one) => ({ ...one, spec: {} }));
    expect(await registry.get(namespaces, mine)).toMatchObject({ spec: { finalizers: ['kubernetes'] } });
    await registry.update(namespaces, mine, (one) => ({ ...one, spec: {} }), { scope: 'finalize' });
    expect(await registry.find(namespaces, mine)).toBeUndefined();
    await expect(registry.delete(namespaces, { namespace: '', name: 'default' })).rejects.toMatchObject({
      message: 'namespaces "default" is forbidden: this namespace may not be deleted',
    });
  });

  it('shows a watcher objects that come into and fall out of its selection', async () => {
    const events: string[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      const start = { sendInitialEvents: true, signal: stop.signal };
      for await (const event of registry.watch(pods, { labelSelector: 'app=web' }, start)) {
        if (event.type !== 'BOOKMARK' || event.endsInitialEvents) events.push(textOf(event));
        if (events.length === 5) stop.abort();
      }
    })();
    await registry.create(pods, podNamed('web'));
    const label = (app: string) =>
      registry.update(pods, web, (pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { app } } }));
    await label('web');
    await registry.update(pods, web, (pod) => ({ ...pod, status: { phase: 'Running' } }), { scope: 'status' });
    await label('other');
    await label('web');
    await watching;
    expect(events).toEqual(['BOOKMARK', 'ADDED web 7', 'MODIFIED web 8', 'DELETED web 9', 'ADDED web 10']);
  });
});

function textOf({ type, object }: ObjectWatchEvent): string {
  return type === 'BOOKMARK' ? type : `${type} ${object.metadata.name} ${object.metadata.resourceVersion}`;
}

describe('a write of the status of a pod', () => {
  const write = (change: (pod: ApiObject) => ApiObject): Promise<ApiObject> =>
    registry.update(pods, web, change, { scope: 'status' });

  it('leaves its class and its owners as they were', async () => {
    const owner = { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'u' };
    const { metadata } = podNamed('web');
    await registry.create(pods, { ...podNamed('web'), metadata: { ...metadata, ownerReferences: [owner] } });
    const bare = (pod: ApiObject): ApiObject => ({
      ...pod,
      metadata: { name: 'web', ownerReferences: [] },
      status: { phase: 'Running' },
    });
    expect(await write(bare)).toMatchObject({
      metadata: { ownerReferences: [owner] },
      status: { phase: 'Running', qosClass: 'BestEffort' },
    });
    expect(await write((pod) => ({ ...pod, status: undefined }))).toMatchObject({
      status: { qosClass: 'BestEffort' },
    });
  });

  it('may say again the class with which a mirror came', async () => {
    const limits = { cpu: '1', memory: '1Gi' };
    const spec = { containers: [{ name: 'main', image: 'i', resources: { limits } }] };
    await registry.create(pods, podNamed('web', { spec, status: { qosClass: 'BestEffort' } }));
    await write((pod) => ({ ...pod, status: { phase: 'Running', qosClass: 'BestEffort' } }));
    await registry.create(pods, podNamed('other', { spec }));
    const other = { namespace: 'default', name: 'other' };
    expect(await registry.get(pods, other)).toMatchObject({ status: { qosClass: 'Guaranteed' } });
  });

  it('may not make it of another class', async () => {
    await registry.create(pods, podNamed('web'));
    const promoted = (pod: ApiObject): ApiObject => ({ ...pod, status: { qosClass: 'Guaranteed' } });
    await expect(write(promoted)).rejects.toThrow('status.qosClass: Invalid value: "Guaranteed": field is immutable');
  });
});

describe('an object that the rules of today refuse', () => {
  let store: MemoryStore;
  let old: Registry;

  beforeEach(async () => {
    store = new MemoryStore();
    old = new Registry(store, allResources());
    await old.createLastingNamespaces();
    return () => old.close();
  });

  /** As an apiserver without the rule had stored it. */
  async function rewrite(key: string, change: (object: ApiObject) => ApiObject): Promise<void> {
    const { entry } = await store.get(key);
    await store.put(key, JSON.stringify(change(JSON.parse(entry?.value ?? '') as ApiObject)));
  }

  async function storeOldPod(more: Partial<ApiObject['metadata']> = {}, spec: object = {}): Promise<void> {
    await old.create(pods, podNamed('web'));
    await rewrite('/registry/pods/default/web', (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, ...more },
      spec: { ...(pod['spec'] as object), hostname: 'Not.A.Host', ...spec },
    }));
  }

  const labelled = (pod: ApiObject, labels: Record<string, string>): ApiObject => ({
    ...pod,
    metadata: { ...pod.metadata, labels },
  });
  const status = { scope: 'status' } as const;

  it('takes what its kubelet says of it, also with metadata that nobody would take today', async () => {
    await storeOldPod({ annotations: { 'controller.kubernetes.io/pod-deletion-cost': 'much' } });
    const running = (pod: ApiObject): ApiObject => ({ ...pod, status: { phase: 'Running', podIP: '10.0.0.1' } });
    expect(await old.update(pods, web, running, status)).toMatchObject({ status: { phase: 'Running' } });
  });

  it('is of the class that its kubelet says when it has none', async () => {
    await storeOldPod();
    await rewrite('/registry/pods/default/web', (pod) => ({ ...pod, status: undefined }));
    const classed = (pod: ApiObject): ApiObject => ({ ...pod, status: { qosClass: 'BestEffort' } });
    expect(await old.update(pods, web, classed, status)).toMatchObject({ status: { qosClass: 'BestEffort' } });
  });

  it('is still told what is wrong with a status, and with metadata that come with one', async () => {
    await storeOldPod();
    const wrongAddress = (pod: ApiObject): ApiObject => ({ ...pod, status: { phase: 'Running', podIP: 'x' } });
    await expect(old.update(pods, web, wrongAddress, status)).rejects.toThrow(/status.podIPs\[0\]: Invalid value: "x"/);
    const update = (change: (pod: ApiObject) => ApiObject): Promise<ApiObject> => old.update(pods, web, change, status);
    await expect(update((pod) => labelled(pod, { a: '-' }))).rejects.toThrow(/metadata.labels: Invalid value: "-"/);
    const annotations = { 'controller.kubernetes.io/pod-deletion-cost': 'much' };
    const costly = (pod: ApiObject): ApiObject => ({ ...pod, metadata: { ...pod.metadata, annotations } });
    await expect(update(costly)).rejects.toThrow(/must be a 32bit integer/);
    expect(await update((pod) => labelled(pod, { a: 'b' }))).toMatchObject({ metadata: { labels: { a: 'b' } } });
  });

  it('is judged as a whole when it itself is written, as upstream does', async () => {
    await storeOldPod();
    await expect(old.update(pods, web, (pod) => labelled(pod, { a: 'b' }))).rejects.toThrow(/spec.hostname: Invalid/);
  });

  it('gets its node', async () => {
    await storeOldPod();
    await bindPod(old, web, { node: 'n1' });
    expect(await old.get(pods, web)).toMatchObject({ spec: { nodeName: 'n1', hostname: 'Not.A.Host' } });
  });

  it('goes, at once or when those that hold it let it go', async () => {
    await storeOldPod({ finalizers: ['example.com/mine'] }, { nodeName: 'n1' });
    expect(await old.delete(pods, web)).toMatchObject({ isGone: false });
    expect(await old.delete(pods, web, { gracePeriodSeconds: 0 })).toMatchObject({ isGone: false });
    const renamed = (pod: ApiObject): ApiObject => ({
      ...pod,
      spec: { ...(pod['spec'] as object), containers: [{ name: 'main', image: 'other' }] },
    });
    await expect(old.update(pods, web, renamed)).rejects.toThrow(/spec.hostname: Invalid/);
    const letGo = (pod: ApiObject): ApiObject => ({ ...pod, metadata: { ...pod.metadata, finalizers: [] } });
    await old.update(pods, web, letGo);
    expect(await old.find(pods, web)).toBeUndefined();
  });

  it('may be a node, whose kubelet goes on to report', async () => {
    const n1 = { namespace: '', name: 'n1' };
    await old.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
    await rewrite('/registry/minions/n1', (node) => ({ ...node, spec: { podCIDR: 'everywhere' } }));
    const ready = (node: ApiObject): ApiObject => ({
      ...node,
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    });
    expect(await old.update(nodes, n1, ready, status)).toMatchObject({ spec: { podCIDR: 'everywhere' } });
  });
});

describe('a binding', () => {
  it('names a node as a node may be called', async () => {
    await registry.create(pods, podNamed('web'));
    await expect(bindPod(registry, web, { node: 'No Node' })).rejects.toMatchObject({
      code: 'ERR_INVALID',
      message: expect.stringContaining('spec.nodeName: Invalid value: "No Node"'),
    });
    await expect(bindPod(registry, web, { node: 'n1', annotations: { 'no key': '' } })).rejects.toThrow(
      /metadata.annotations: Invalid value: "no key"/,
    );
  });
});
