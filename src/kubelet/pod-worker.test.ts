import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answeringApi } from '../../test/support/answering-api.ts';
import { Loopback } from '../../test/support/loopback.ts';
import { objectsApi } from '../../test/support/objects-api.ts';
import { ContainerState, CriClient, PodSandboxState } from '../cri/index.ts';
import type { Container, Pod, PodStatus } from '../kubeapi/index.ts';
import { HOST_IMAGE, type RunningRuntime, startRuntime } from '../runtime/index.ts';
import { containerConfig, sandboxConfig } from './container-config.ts';
import { fieldPathOf } from './pod-containers.ts';
import { type ObservedPod, PodObserver } from './pod-observer.ts';
import { PodReferences } from './pod-references.ts';
import { podStatus } from './pod-status.ts';
import { PodWorker } from './pod-worker.ts';

let folder: string;
let runtime: RunningRuntime;
let cri: CriClient;
let worker: PodWorker;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-worker-'));
  runtime = await startRuntime({ stateDir: join(folder, 'runtime') });
  cri = new CriClient(runtime.endpoints[0] ?? '');
  worker = new PodWorker(cri, folders());
});

afterEach(async () => {
  await cri.close();
  await runtime.close();
  rmSync(folder, { recursive: true, force: true });
});

function folders(): { logs: string; volumes: string } {
  return { logs: join(folder, 'logs'), volumes: join(folder, 'volumes') };
}

function podOf(spec: Partial<Pod['spec']> = {}, command = ['sleep', '100000']): Pod {
  const containers = [{ name: 'main', image: HOST_IMAGE, command }];
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'u-1' },
    spec: { nodeName: 'n1', terminationGracePeriodSeconds: 0, containers, ...spec },
  };
}

/** Of the first container. */
function configOf(pod: Pod, attempt: number): ReturnType<typeof containerConfig> {
  const sources = {
    folders: folders(),
    addresses: { hostIP: '', podIPs: [] },
    references: new PodReferences(undefined),
  };
  return containerConfig(pod, pod.spec.containers[0] as Container, attempt, sources);
}

async function observe(): Promise<ObservedPod | undefined> {
  const pods = await new PodObserver(cri).observe();
  expect(pods.length).toBeLessThan(2);
  return pods[0];
}

/** Looks and syncs until a look leads to nothing. */
async function settle(pod: Pod): Promise<ObservedPod | undefined> {
  for (let turn = 0; turn < 10; turn += 1) {
    const { acted } = await worker.sync(pod, await observe());
    if (!acted) return await observe();
  }
  throw new Error('the pod never settled');
}

async function sandboxStates(): Promise<PodSandboxState[]> {
  return (await cri.runtime.listPodSandbox({})).items.map(({ state }) => state);
}

/** Sets the container's end: waits until the runtime says so. */
async function untilExited(): Promise<void> {
  await expect.poll(async () => (await observe())?.containers.get('main')?.state).toBe(ContainerState.CONTAINER_EXITED);
}

const shell = (name: string, script: string): { name: string; image: string; command: string[] } => ({
  name,
  image: HOST_IMAGE,
  command: ['sh', '-c', script],
});

/** Looks and syncs until the pod's status is as wanted. */
async function until(pod: Pod, isRight: (status: PodStatus) => boolean): Promise<PodStatus> {
  let status: PodStatus | undefined;
  const context = { hostIP: '10.0.0.1', runtimeName: 'podwire', now: new Date() };
  await expect
    .poll(
      async () => {
        const { waiting } = await worker.sync(pod, await observe());
        status = podStatus(pod, await observe(), { ...context, waiting });
        return isRight(status);
      },
      { timeout: 20_000 },
    )
    .toBe(true);
  return status as PodStatus;
}

describe('a pod whose sandbox died', () => {
  it('gets another, counts its restarts on, and leaves nothing of the old one', async () => {
    const pod = podOf();
    const first = await settle(pod);
    await cri.runtime.stopPodSandbox({ podSandboxId: first?.sandbox.id ?? '' });
    const second = await settle(pod);
    expect(second?.sandbox.id).not.toBe(first?.sandbox.id);
    expect(second?.statuses.get('main')).toMatchObject({
      state: ContainerState.CONTAINER_RUNNING,
      metadata: { attempt: 1 },
    });
    await worker.remove(second as ObservedPod, 0);
    expect(await sandboxStates()).toEqual([]);
    expect((await cri.runtime.listContainers({})).containers).toEqual([]);
  });

  it('ends what outlived the sandbox before anything runs in another', async () => {
    const pod = podOf({ restartPolicy: 'OnFailure' });
    const view = (await settle(pod)) as ObservedPod;
    // As with containerd when the pause process dies: the sandbox is not ready, its container runs on.
    expect(await worker.sync(pod, { ...view, ready: false })).toMatchObject({ acted: true });
    expect((await observe())?.statuses.get('main')).toMatchObject({ state: ContainerState.CONTAINER_EXITED });
    expect(await sandboxStates()).toEqual([PodSandboxState.SANDBOX_NOTREADY]);
  });

  it('runs nothing twice when it never restarts', async () => {
    const pod = podOf({ restartPolicy: 'Never' });
    const first = await settle(pod);
    await cri.runtime.stopPodSandbox({ podSandboxId: first?.sandbox.id ?? '' });
    const second = await settle(pod);
    expect(await sandboxStates()).toEqual([PodSandboxState.SANDBOX_NOTREADY]);
    expect(second?.containers.size).toBe(1);
  });
});

describe('a container', () => {
  it('that was made and never started, by a kubelet that was killed then, is made anew', async () => {
    const pod = podOf();
    const sandbox = sandboxConfig(pod, 0, folders());
    mkdirSync(join(sandbox.logDirectory ?? '', 'main'), { recursive: true });
    const { podSandboxId } = await cri.runtime.runPodSandbox({ config: sandbox });
    const config = await configOf(pod, 0);
    await cri.runtime.createContainer({ podSandboxId, config, sandboxConfig: sandbox });
    const view = await settle(pod);
    expect(view?.statuses.get('main')).toMatchObject({
      state: ContainerState.CONTAINER_RUNNING,
      metadata: { attempt: 1 },
    });
    expect(view?.olderContainers).toEqual([]);
  });

  it('leaves of all its attempts the last one and the one before', async () => {
    const pod = podOf();
    await settle(pod);
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const view = await observe();
      const id = view?.containers.get('main')?.id ?? '';
      await cri.runtime.stopContainer({ containerId: id, timeout: 0n });
      await untilExited();
      // As a kubelet that has just started: it remembers no back-off.
      worker = new PodWorker(cri, folders());
      if (view !== undefined) await worker.tidy(pod, view);
      const before = await observe();
      const config = await configOf(pod, attempt);
      const podSandboxId = before?.sandbox.id ?? '';
      const { containerId } = await cri.runtime.createContainer({
        podSandboxId,
        config,
        sandboxConfig: sandboxConfig(pod, 0, folders()),
      });
      await cri.runtime.startContainer({ containerId });
    }
    await worker.tidy(pod, (await observe()) as ObservedPod);
    const { containers } = await cri.runtime.listContainers({});
    expect(new Set(containers.map(({ metadata }) => metadata?.attempt))).toEqual(new Set([2, 3]));
    expect(containers.length).toBe(2);
    const logs = join(folders().logs, 'default_web_u-1', 'main');
    expect([0, 1, 2, 3].map((attempt) => existsSync(join(logs, `${attempt}.log`)))).toEqual([false, false, true, true]);
  });

  it('whose image is not there is not asked for at each look', async () => {
    const pod = podOf({ containers: [{ name: 'main', image: 'registry.invalid/none', command: ['x'] }] });
    await worker.sync(pod, undefined);
    const view = await observe();
    const first = await worker.sync(pod, view);
    expect(first.waiting.get('main')?.reason).toBe('ImagePullBackOff');
  });
});

describe('a pod that is removed', () => {
  it('takes its volumes and logs along', async () => {
    const pod = podOf({ volumes: [{ name: 'data', emptyDir: {} }] });
    const view = await settle(pod);
    const paths = [join(folders().volumes, 'u-1'), join(folders().logs, 'default_web_u-1')];
    expect(paths.map((path) => existsSync(path))).toEqual([true, true]);
    await worker.remove(view as ObservedPod, 0);
    expect(paths.map((path) => existsSync(path))).toEqual([false, false]);
  });

  it('without a uid takes no other pod’s volumes along', async () => {
    const other = join(folders().volumes, 'u-2');
    mkdirSync(other, { recursive: true });
    const view = await settle(podOf());
    await expect(worker.remove({ ...(view as ObservedPod), uid: '' }, 0)).rejects.toThrow('cannot be a part of a path');
    expect(existsSync(other)).toBe(true);
  });
});

describe('init containers', () => {
  it('run one after the other, each to its end, before the containers', async () => {
    const log = join(folder, 'order');
    const pod = podOf({
      initContainers: [shell('one', `sleep 0.1; echo one >> ${log}`), shell('two', `echo two >> ${log}`)],
      containers: [shell('main', `echo main >> ${log}; sleep 100000`)],
    });
    await worker.sync(pod, undefined);
    const context = { hostIP: '', runtimeName: 'podwire', now: new Date() };
    expect(podStatus(pod, await observe(), context)).toMatchObject({
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
    const status = await until(pod, ({ phase }) => phase === 'Running');
    expect(status.initContainerStatuses).toMatchObject([
      { name: 'one', ready: true, state: { terminated: { exitCode: 0, reason: 'Completed' } } },
      { name: 'two', ready: true },
    ]);
    await expect.poll(() => readFileSync(log, 'utf8')).toBe('one\ntwo\nmain\n');
  });

  it('that fail end a pod that never restarts, and nothing follows', async () => {
    const pod = podOf({ restartPolicy: 'Never', initContainers: [shell('one', 'exit 3')] });
    const status = await until(pod, ({ phase }) => phase === 'Failed');
    expect(status.initContainerStatuses).toMatchObject([{ state: { terminated: { exitCode: 3 } } }]);
    expect(status.containerStatuses).toMatchObject([{ state: { waiting: { reason: 'PodInitializing' } } }]);
  });

  it('of restartPolicy Always stay beside the containers and go when those are over', async () => {
    const sidecar = { ...shell('side', 'sleep 100000'), restartPolicy: 'Always' };
    const pod = podOf({ restartPolicy: 'Never', initContainers: [sidecar], containers: [shell('main', 'sleep 0.2')] });
    const status = await until(pod, ({ phase }) => phase === 'Succeeded');
    expect(status.containerStatuses).toMatchObject([{ state: { terminated: { exitCode: 0 } } }]);
    await expect
      .poll(async () => {
        await worker.sync(pod, await observe());
        return (await observe())?.containers.get('side')?.state;
      })
      .toBe(ContainerState.CONTAINER_EXITED);
  });
});

describe('ephemeral containers', () => {
  const statusOf = async (pod: Pod): Promise<PodStatus> => {
    const { waiting } = await worker.sync(pod, await observe());
    return podStatus(pod, await observe(), { hostIP: '', runtimeName: 'podwire', now: new Date(), waiting });
  };
  const hasEnded = ({ ephemeralContainerStatuses }: PodStatus): boolean =>
    ephemeralContainerStatuses?.every(({ state }) => state?.terminated !== undefined) === true;

  it('run once in a pod that is there, whatever becomes of them, and count for nothing', async () => {
    const pod = podOf({ ephemeralContainers: [shell('debugger', `echo ran >> ${folder}/runs; exit 4`)] });
    expect((await worker.sync(pod, undefined)).acted).toBe(true);
    expect([...((await observe())?.containers.keys() ?? [])]).toEqual(['main']);
    const status = await until(pod, hasEnded);
    expect(status).toMatchObject({
      phase: 'Running',
      conditions: expect.arrayContaining([expect.objectContaining({ type: 'Ready', status: 'True' })]),
      containerStatuses: [{ name: 'main', ready: true }],
    });
    expect(status.ephemeralContainerStatuses).toEqual([
      {
        name: 'debugger',
        image: HOST_IMAGE,
        imageID: expect.anything(),
        containerID: expect.stringMatching(/^podwire:/),
        ready: false,
        restartCount: 0,
        state: { terminated: expect.objectContaining({ exitCode: 4, reason: 'Error' }) },
      },
    ]);
    // As a kubelet that has just started: it remembers nothing.
    worker = new PodWorker(cri, folders());
    await settle(pod);
    expect(readFileSync(join(folder, 'runs'), 'utf8')).toBe('ran\n');
  });

  it('do not run again when the pod gets another sandbox', async () => {
    const pod = podOf({ ephemeralContainers: [shell('debugger', `echo ran >> ${folder}/runs; sleep 100000`)] });
    const first = await settle(pod);
    await expect.poll(() => existsSync(join(folder, 'runs'))).toBe(true);
    await cri.runtime.stopPodSandbox({ podSandboxId: first?.sandbox.id ?? '' });
    const second = await settle(pod);
    await worker.tidy(pod, second as ObservedPod);
    expect(second?.statuses.get('main')?.state).toBe(ContainerState.CONTAINER_RUNNING);
    expect((await observe())?.statuses.get('debugger')?.state).toBe(ContainerState.CONTAINER_EXITED);
    expect(readFileSync(join(folder, 'runs'), 'utf8')).toBe('ran\n');
  });

  it('run while the pod still initializes, and go with it', async () => {
    const pod = podOf({
      initContainers: [shell('one', 'sleep 100000')],
      ephemeralContainers: [shell('debugger', 'sleep 100000')],
    });
    const view = await settle(pod);
    expect(view?.statuses.get('debugger')?.state).toBe(ContainerState.CONTAINER_RUNNING);
    expect(await statusOf(pod)).toMatchObject({
      phase: 'Pending',
      ephemeralContainerStatuses: [{ name: 'debugger', ready: false, state: { running: {} } }],
    });
    await worker.remove(view as ObservedPod, 0);
    expect((await cri.runtime.listContainers({})).containers).toEqual([]);
  });

  it('are stopped when the containers are over', async () => {
    const pod = podOf({
      restartPolicy: 'Never',
      containers: [shell('main', `until [ -e ${folder}/begun ]; do sleep 0.1; done`)],
      ephemeralContainers: [shell('debugger', `touch ${folder}/begun; sleep 100000`)],
    });
    const status = await until(pod, (seen) => seen.phase === 'Succeeded' && hasEnded(seen));
    expect(status.ephemeralContainerStatuses).toMatchObject([{ state: { terminated: { exitCode: 137 } } }]);
  });

  it('that were made and never started, by a kubelet that was killed then, run as the first', async () => {
    const pod = podOf();
    const view = (await settle(pod)) as ObservedPod;
    mkdirSync(join(folders().logs, 'default_web_u-1', 'debugger'), { recursive: true });
    const debugged = podOf({ ephemeralContainers: [shell('debugger', 'sleep 100000')] });
    const config = await configOf(podOf({ containers: [shell('debugger', 'sleep 100000')] }), 0);
    const sandbox = sandboxConfig(pod, 0, folders());
    await cri.runtime.createContainer({ podSandboxId: view.sandbox.id, config, sandboxConfig: sandbox });
    expect((await settle(debugged))?.statuses.get('debugger')).toMatchObject({
      state: ContainerState.CONTAINER_RUNNING,
      metadata: { attempt: 0 },
    });
  });

  it('wait for an image, and for the container whose processes they are to see', async () => {
    const lost = { name: 'lost', image: 'registry.invalid/none' };
    const targeting = { ...shell('targeting', 'sleep 100000'), targetContainerName: 'main' };
    const pod = podOf({ initContainers: [shell('one', 'sleep 100000')], ephemeralContainers: [lost, targeting] });
    await worker.sync(pod, undefined);
    const [withoutImage, withoutTarget] = (await statusOf(pod)).ephemeralContainerStatuses ?? [];
    expect(withoutImage?.state?.waiting?.reason).toBe('ErrImagePull');
    expect(withoutTarget?.state?.waiting).toEqual({
      reason: 'CreateContainerConfigError',
      message: 'unable to find target container main',
    });
    expect((await statusOf(pod)).ephemeralContainerStatuses?.[0]?.state?.waiting?.reason).toBe('ImagePullBackOff');
  });

  it('that cannot start say why, and are not tried again', async () => {
    const bad = { name: 'bad', image: HOST_IMAGE, command: ['/no/such/command'] };
    const pod = podOf({ ephemeralContainers: [bad] });
    await worker.sync(pod, undefined);
    for (let turn = 0; turn < 2; turn += 1) {
      expect((await statusOf(pod)).ephemeralContainerStatuses).toMatchObject([
        {
          state: { waiting: { reason: 'RunContainerError', message: expect.stringContaining('/no/such/command') } },
          lastState: { terminated: { exitCode: 128, reason: 'StartError' } },
          restartCount: 0,
        },
      ]);
    }
    expect((await observe())?.olderContainers).toEqual([]);
    const never = { ...pod, spec: { ...pod.spec, restartPolicy: 'Never' as const } };
    expect((await statusOf(never)).ephemeralContainerStatuses).toMatchObject([
      { state: { terminated: { exitCode: 128, reason: 'StartError' } } },
    ]);
  });

  it('are told of as what they are', async () => {
    const told: string[] = [];
    worker = new PodWorker(cri, folders(), {
      onEvent: ({ spec }, { reason, container = '' }) => told.push(`${reason} ${fieldPathOf(spec, container)}`),
    });
    const pod = podOf({ ephemeralContainers: [shell('debugger', 'sleep 100000')] });
    const view = (await settle(pod)) as ObservedPod;
    await worker.remove(view, 0, { spec: pod.spec });
    for (const reason of ['Created', 'Started', 'Killing']) {
      expect(told).toContain(`${reason} spec.ephemeralContainers{debugger}`);
    }
  });
});

describe('what a container asks of an apiserver', () => {
  it('says why the container is not made, and is asked for again', async () => {
    const loopback = new Loopback();
    const { api, objects } = await objectsApi(loopback);
    worker = new PodWorker(cri, folders(), { references: new PodReferences(api.client) });
    const env = [{ name: 'WHO', valueFrom: { configMapKeyRef: { name: 'words', key: 'who' } } }];
    const command = ['sh', '-c', 'echo "I am $WHO"; sleep 100000'];
    const pod = podOf({ containers: [{ name: 'main', image: HOST_IMAGE, command, env }] });
    await worker.sync(pod, undefined);
    expect((await worker.sync(pod, await observe())).waiting.get('main')).toEqual({
      reason: 'CreateContainerConfigError',
      message: 'configmaps "words" not found',
    });
    objects.set('/api/v1/namespaces/default/configmaps/words', { metadata: { name: 'words' }, data: { who: 'known' } });
    await expect
      .poll(
        async () => {
          await worker.sync(pod, await observe());
          const log = join(folders().logs, 'default_web_u-1', 'main', '0.log');
          return existsSync(log) ? readFileSync(log, 'utf8') : '';
        },
        { timeout: 10_000 },
      )
      .toContain('I am known');
    await loopback[Symbol.asyncDispose]();
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
    worker = new PodWorker(cri, folders(), {
      references: new PodReferences(client),
      onEvent: (_pod, { type, reason }) => type === 'Warning' && events.push(reason),
    });
    const stop = new AbortController();
    const step = worker.sync({ ...pod, spec: { ...pod.spec, enableServiceLinks: false } }, undefined, stop.signal);
    await expect.poll(() => asked.length, { timeout: 10_000 }).toBe(1);
    stop.abort();
    await step;
    expect([events, asked.length, (await sandboxStates()).length]).toEqual([[], 1, sandboxes]);
    expect((await observe())?.containers.size ?? 0).toBe(0);
  });
});

describe('a volume of the host', () => {
  it('must be what its type says, and is made when the type says so', async () => {
    const path = join(folder, 'made', 'here');
    const volumeOf = (type: string): Pod => podOf({ volumes: [{ name: 'v', hostPath: { path, type } }] });
    expect((await worker.sync(volumeOf('Directory'), undefined)).waiting.get('main')).toEqual({
      reason: 'ContainerCreating',
      message: `MountVolume.SetUp failed for volume "v" : hostPath type check failed: ${path} is not a directory`,
    });
    worker = new PodWorker(cri, folders());
    await worker.sync(volumeOf('DirectoryOrCreate'), undefined);
    expect(existsSync(path)).toBe(true);
  });
});
