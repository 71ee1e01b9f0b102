import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answeringApi } from '../../test/support/answering-api.ts';
import { Loopback } from '../../test/support/loopback.ts';
import { objectsApi } from '../../test/support/objects-api.ts';
import { podOf, shell, WorkerWorld } from '../../test/support/worker-world.ts';
import { ContainerState, type CriClient, PodSandboxState } from '../cri/index.ts';
import type { Pod } from '../kubeapi/index.ts';
import { HOST_IMAGE } from '../runtime/index.ts';
import type { ObservedPod } from './pod-observer.ts';
import { PodReferences } from './pod-references.ts';
import { podStatus } from './pod-status.ts';
import { PodWorker } from './pod-worker.ts';
import { sandboxConfig } from './sandbox-config.ts';

let world: WorkerWorld;

beforeEach(async () => {
  world = await WorkerWorld.start();
});
afterEach(() => world[Symbol.asyncDispose]());

async function sandboxStates(): Promise<PodSandboxState[]> {
  return (await world.cri.runtime.listPodSandbox({})).items.map(({ state }) => state);
}

/** Sets the container's end: waits until the runtime says so. */
async function untilExited(): Promise<void> {
  await expect
    .poll(async () => (await world.observe())?.containers.get('main')?.state)
    .toBe(ContainerState.CONTAINER_EXITED);
}

describe('a pod whose sandbox died', () => {
  it('gets another, counts its restarts on, and leaves nothing of the old one', async () => {
    const pod = podOf();
    const first = await world.settle(pod);
    await world.cri.runtime.stopPodSandbox({ podSandboxId: first?.sandbox.id ?? '' });
    const second = await world.settle(pod);
    expect(second?.sandbox.id).not.toBe(first?.sandbox.id);
    expect(second?.statuses.get('main')).toMatchObject({
      state: ContainerState.CONTAINER_RUNNING,
      metadata: { attempt: 1 },
    });
    await world.worker.remove(second as ObservedPod, 0);
    expect(await sandboxStates()).toEqual([]);
    expect((await world.cri.runtime.listContainers({})).containers).toEqual([]);
  });

  it('ends what outlived the sandbox before anything runs in another', async () => {
    const pod = podOf({ restartPolicy: 'OnFailure' });
    const view = (await world.settle(pod)) as ObservedPod;
    // As with containerd when the pause process dies: the sandbox is not ready, its container runs on.
    expect(await world.worker.sync(pod, { ...view, ready: false })).toMatchObject({ acted: true });
    expect((await world.observe())?.statuses.get('main')).toMatchObject({ state: ContainerState.CONTAINER_EXITED });
    expect(await sandboxStates()).toEqual([PodSandboxState.SANDBOX_NOTREADY]);
  });

  it('runs nothing twice when it never restarts', async () => {
    const pod = podOf({ restartPolicy: 'Never' });
    const first = await world.settle(pod);
    await world.cri.runtime.stopPodSandbox({ podSandboxId: first?.sandbox.id ?? '' });
    const second = await world.settle(pod);
    expect(await sandboxStates()).toEqual([PodSandboxState.SANDBOX_NOTREADY]);
    expect(second?.containers.size).toBe(1);
  });
});

describe('a container', () => {
  it('that is the first of its sandbox knows the sandbox’s address', async () => {
    const log = join(world.folder, 'addresses');
    const env = [{ name: 'OWN', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }];
    const pod = podOf({ containers: [{ ...shell('main', `echo "at $OWN" >> ${log}; sleep 100000`), env }] });
    const said = (): string => (existsSync(log) ? readFileSync(log, 'utf8') : '');
    const first = await world.settle(pod);
    // Our runtime without networks of pods gives that of the loopback.
    await expect.poll(said).toBe('at 127.0.0.1\n');
    await world.cri.runtime.stopPodSandbox({ podSandboxId: first?.sandbox.id ?? '' });
    await world.settle(pod);
    await expect.poll(said).toBe('at 127.0.0.1\nat 127.0.0.1\n');
  });

  it('that was made and never started, by a kubelet that was killed then, is made anew', async () => {
    const pod = podOf();
    const sandbox = sandboxConfig(pod, 0, world.folders);
    mkdirSync(join(sandbox.logDirectory ?? '', 'main'), { recursive: true });
    const { podSandboxId } = await world.cri.runtime.runPodSandbox({ config: sandbox });
    const config = await world.configOf(pod, 0);
    await world.cri.runtime.createContainer({ podSandboxId, config, sandboxConfig: sandbox });
    const view = await world.settle(pod);
    expect(view?.statuses.get('main')).toMatchObject({
      state: ContainerState.CONTAINER_RUNNING,
      metadata: { attempt: 1 },
    });
    expect(view?.olderContainers).toEqual([]);
  });

  it('leaves of all its attempts the last one and the one before', async () => {
    const pod = podOf();
    await world.settle(pod);
    const words = join(world.folders.volumes, 'u-1/.termination/main');
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const view = await world.observe();
      const id = view?.containers.get('main')?.id ?? '';
      await world.cri.runtime.stopContainer({ containerId: id, timeout: 0n });
      await untilExited();
      // As a kubelet that has just started: it remembers no back-off.
      world.newWorker();
      if (view !== undefined) await world.worker.tidy(pod, view);
      const before = await world.observe();
      const config = await world.configOf(pod, attempt);
      const podSandboxId = before?.sandbox.id ?? '';
      const { containerId } = await world.cri.runtime.createContainer({
        podSandboxId,
        config,
        sandboxConfig: sandboxConfig(pod, 0, world.folders),
      });
      await world.cri.runtime.startContainer({ containerId });
      writeFileSync(join(words, `${attempt}`), '');
    }
    await world.worker.tidy(pod, (await world.observe()) as ObservedPod);
    expect(readdirSync(words).sort()).toEqual(['2', '3']);
    const { containers } = await world.cri.runtime.listContainers({});
    expect(new Set(containers.map(({ metadata }) => metadata?.attempt))).toEqual(new Set([2, 3]));
    expect(containers.length).toBe(2);
    const logs = join(world.folders.logs, 'default_web_u-1', 'main');
    expect([0, 1, 2, 3].map((attempt) => existsSync(join(logs, `${attempt}.log`)))).toEqual([false, false, true, true]);
  });

  it('whose image is not there is not asked for at each look', async () => {
    const pod = podOf({ containers: [{ name: 'main', image: 'registry.invalid/none', command: ['x'] }] });
    await world.worker.sync(pod, undefined);
    const view = await world.observe();
    const first = await world.worker.sync(pod, view);
    expect(first.waiting.get('main')?.reason).toBe('ImagePullBackOff');
  });
});

describe('a pod that is removed', () => {
  it('takes its volumes and logs along', async () => {
    const pod = podOf({ volumes: [{ name: 'data', emptyDir: {} }] });
    const view = await world.settle(pod);
    const paths = [join(world.folders.volumes, 'u-1'), join(world.folders.logs, 'default_web_u-1')];
    expect(paths.map((path) => existsSync(path))).toEqual([true, true]);
    await world.worker.remove(view as ObservedPod, 0);
    expect(paths.map((path) => existsSync(path))).toEqual([false, false]);
  });

  it('that were left behind are found by their uid', async () => {
    const pod = podOf({});
    await world.worker.sync(pod, undefined);
    mkdirSync(join(world.folders.volumes, 'lost+found'));
    expect(await world.worker.podsWithFiles()).toEqual(['u-1']);
    const other = join(world.folders.logs, 'default_web_u-2');
    mkdirSync(other, { recursive: true });
    await world.worker.removeFiles('u-1');
    expect(await world.worker.podsWithFiles()).toEqual([]);
    expect(readdirSync(world.folders.logs)).toEqual(['default_web_u-2']);
  });

  it('without a uid takes no other pod’s volumes along', async () => {
    const other = join(world.folders.volumes, 'u-2');
    mkdirSync(other, { recursive: true });
    const view = await world.settle(podOf());
    await expect(world.worker.remove({ ...(view as ObservedPod), uid: '' }, 0)).rejects.toThrow(
      'cannot be a part of a path',
    );
    expect(existsSync(other)).toBe(true);
  });
});

describe('init containers', () => {
  it('run one after the other, each to its end, before the containers', async () => {
    const log = join(world.folder, 'order');
    const pod = podOf({
      initContainers: [shell('one', `sleep 0.1; echo one >> ${log}`), shell('two', `echo two >> ${log}`)],
      containers: [shell('main', `echo main >> ${log}; sleep 100000`)],
    });
    await world.worker.sync(pod, undefined);
    const context = { hostIP: '', runtimeName: 'podwire', now: new Date() };
    expect(podStatus(pod, await world.observe(), context)).toMatchObject({
      phase: 'Pending',
      conditions: expect.arrayContaining([
        expect.objectContaining({
          type: 'Initialized',
          status: 'False',
          message: expect.stringContaining('containers with incomplete status: [one two]'),
        }),
      ]),
      containerStatuses: [{ state: { waiting: { reason: 'PodInitializing' } } }],
    });
    const status = await world.until(pod, ({ phase }) => phase === 'Running');
    expect(status.initContainerStatuses).toMatchObject([
      { name: 'one', ready: true, state: { terminated: { exitCode: 0, reason: 'Completed' } } },
      { name: 'two', ready: true },
    ]);
    await expect.poll(() => readFileSync(log, 'utf8')).toBe('one\ntwo\nmain\n');
  });

  it('that fail end a pod that never restarts, and nothing follows', async () => {
    const pod = podOf({ restartPolicy: 'Never', initContainers: [shell('one', 'exit 3')] });
    const status = await world.until(pod, ({ phase }) => phase === 'Failed');
    expect(status.initContainerStatuses).toMatchObject([{ state: { terminated: { exitCode: 3 } } }]);
    expect(status.containerStatuses).toMatchObject([{ state: { waiting: { reason: 'PodInitializing' } } }]);
  });

  it('of restartPolicy Always stay beside the containers and go when those are over', async () => {
    const sidecar = { ...shell('side', 'sleep 100000'), restartPolicy: 'Always' };
    const pod = podOf({ restartPolicy: 'Never', initContainers: [sidecar], containers: [shell('main', 'sleep 0.2')] });
    const status = await world.until(pod, ({ phase }) => phase === 'Succeeded');
    expect(status.containerStatuses).toMatchObject([{ state: { terminated: { exitCode: 0 } } }]);
    await expect
      .poll(async () => {
        await world.worker.sync(pod, await world.observe());
        return (await world.observe())?.containers.get('side')?.state;
      })
      .toBe(ContainerState.CONTAINER_EXITED);
  });
});

describe('what a container asks of an apiserver', () => {
  it('says why the container is not made, and is asked for again', async () => {
    await using loopback = new Loopback();
    const { api, objects } = await objectsApi(loopback);
    world.newWorker({ references: new PodReferences(api.client) });
    const env = [{ name: 'WHO', valueFrom: { configMapKeyRef: { name: 'words', key: 'who' } } }];
    const command = ['sh', '-c', 'echo "I am $WHO"; sleep 100000'];
    const pod = podOf({ containers: [{ name: 'main', image: HOST_IMAGE, command, env }] });
    await world.worker.sync(pod, undefined);
    expect((await world.worker.sync(pod, await world.observe())).waiting.get('main')).toEqual({
      reason: 'CreateContainerConfigError',
      message: 'configmaps "words" not found',
    });
    objects.set('/api/v1/namespaces/default/configmaps/words', { metadata: { name: 'words' }, data: { who: 'known' } });
    await expect
      .poll(
        async () => {
          await world.worker.sync(pod, await world.observe());
          const log = join(world.folders.logs, 'default_web_u-1', 'main', '0.log');
          return existsSync(log) ? readFileSync(log, 'utf8') : '';
        },
        { timeout: 10_000 },
      )
      .toContain('I am known');
  });
});

describe('a pod that is to go', () => {
  const volumes = [{ name: 'words', configMap: { name: 'words' } }];
  const env = [{ name: 'WHO', valueFrom: { configMapKeyRef: { name: 'words', key: 'who' } } }];

  it.each([
    ['volumes', podOf({ volumes }), 0],
    ['environment', podOf({ containers: [{ name: 'main', image: HOST_IMAGE, command: ['sleep', '9'], env }] }), 1],
  ])('waits for no object of its %s, and nothing of that is called a failure', async (_what, pod, sandboxes) => {
    await using loopback = new Loopback();
    const { client, asked } = await answeringApi(loopback, [() => {}]);
    const events: string[] = [];
    world.newWorker({
      references: new PodReferences(client),
      onEvent: (_pod, { type, reason }) => type === 'Warning' && events.push(reason),
    });
    const stop = new AbortController();
    const step = world.worker.sync(
      { ...pod, spec: { ...pod.spec, enableServiceLinks: false } },
      undefined,
      stop.signal,
    );
    await expect.poll(() => asked.length, { timeout: 10_000 }).toBe(1);
    stop.abort();
    await step;
    expect([events, asked.length, (await sandboxStates()).length]).toEqual([[], 1, sandboxes]);
    expect((await world.observe())?.containers.size ?? 0).toBe(0);
  });
});

describe('the last word of a container', () => {
  it('is in its status, also for a kubelet that has just started', async () => {
    const containers = [shell('main', 'echo gone wrong; exit 3'), shell('other', 'exit 0')];
    const terminationMessagePolicy = 'FallbackToLogsOnError' as const;
    const pod = podOf({
      restartPolicy: 'Never',
      containers: containers.map((container) => ({ ...container, terminationMessagePolicy })),
    });
    const status = await world.until(pod, ({ phase }) => phase === 'Failed');
    expect(status.containerStatuses?.map(({ state }) => state?.terminated?.message)).toEqual([
      'gone wrong\n',
      undefined,
    ]);
    // The host image has no mounts: what is said there is read all the same.
    const [mount] = (await world.observe())?.statuses.get('other')?.mounts.slice(-1) ?? [];
    writeFileSync(mount?.hostPath ?? '', 'ready to go');
    const { containerStatuses } = await world.statusOf(pod);
    expect(containerStatuses?.map(({ state }) => state?.terminated?.message)).toEqual(['gone wrong\n', 'ready to go']);
  });
});

describe('names in the cluster', () => {
  it('are asked for and known as the node’s kubelet is told', async () => {
    const asked: unknown[] = [];
    const runtime = {
      ...world.cri.runtime,
      runPodSandbox: (request: Parameters<CriClient['runtime']['runPodSandbox']>[0]) => {
        asked.push(request.config);
        return world.cri.runtime.runPodSandbox(request);
      },
    };
    const cri = { runtime, image: world.cri.image };
    const resolvConf = join(world.folder, 'resolv.conf');
    const dns = { clusterDns: ['10.96.0.10'], clusterDomain: 'cluster.local', resolvConf };
    const nameservers = Array.from({ length: 3 }, (_, at) => `192.0.2.${at}`);
    const events: string[] = [];
    const worker = new PodWorker(cri, world.folders, { dns, onEvent: (_pod, { reason }) => events.push(reason) });
    const pod = podOf({ subdomain: 'peers', dnsConfig: { nameservers } });
    expect((await worker.sync(pod, undefined)).waiting.get('main')).toEqual({
      reason: 'FailedCreatePodSandBox',
      message: expect.stringContaining(`resolver configuration ${resolvConf}: `),
    });
    writeFileSync(resolvConf, 'search corp.test\n');
    worker.forget('u-1');
    await worker.sync(pod, undefined);
    expect(asked).toMatchObject([
      {
        hostname: 'web',
        dnsConfig: {
          servers: ['10.96.0.10', '192.0.2.0', '192.0.2.1'],
          searches: ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'corp.test'],
          options: ['ndots:5'],
        },
      },
    ]);
    expect(events).toContain('DNSConfigForming');
    expect(readFileSync(join(world.folders.volumes, 'u-1/.hosts'), 'utf8')).toContain(
      '127.0.0.1\tweb.peers.default.svc.cluster.local\tweb\n',
    );
  });
});

describe('a volume of the host', () => {
  it('must be what its type says, and is made when the type says so', async () => {
    const path = join(world.folder, 'made', 'here');
    const volumeOf = (type: string): Pod => podOf({ volumes: [{ name: 'v', hostPath: { path, type } }] });
    expect((await world.worker.sync(volumeOf('Directory'), undefined)).waiting.get('main')).toEqual({
      reason: 'ContainerCreating',
      message: `MountVolume.SetUp failed for volume "v" : hostPath type check failed: ${path} is not a directory`,
    });
    world.newWorker();
    await world.worker.sync(volumeOf('DirectoryOrCreate'), undefined);
    expect(existsSync(path)).toBe(true);
  });
});
