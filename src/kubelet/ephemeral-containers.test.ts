import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { podOf, shell, WorkerWorld } from '../../test/support/worker-world.ts';
import { ContainerState } from '../cri/index.ts';
import type { PodStatus } from '../kubeapi/index.ts';
import { HOST_IMAGE } from '../runtime/index.ts';
import { fieldPathOf } from './pod-containers.ts';
import type { ObservedPod } from './pod-observer.ts';
import { sandboxConfig } from './sandbox-config.ts';

let world: WorkerWorld;

beforeEach(async () => {
  world = await WorkerWorld.start();
});
afterEach(() => world[Symbol.asyncDispose]());

describe('ephemeral containers', () => {
  const hasEnded = ({ ephemeralContainerStatuses }: PodStatus): boolean =>
    ephemeralContainerStatuses?.every(({ state }) => state?.terminated !== undefined) === true;

  it('run once in a pod that is there, whatever becomes of them, and count for nothing', async () => {
    const pod = podOf({ ephemeralContainers: [shell('debugger', `echo ran >> ${world.folder}/runs; exit 4`)] });
    expect((await world.worker.sync(pod, undefined)).acted).toBe(true);
    expect([...((await world.observe())?.containers.keys() ?? [])]).toEqual(['main']);
    const status = await world.until(pod, hasEnded);
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
    world.newWorker();
    await world.settle(pod);
    expect(readFileSync(join(world.folder, 'runs'), 'utf8')).toBe('ran\n');
  });

  it('do not run again when the pod gets another sandbox', async () => {
    const pod = podOf({ ephemeralContainers: [shell('debugger', `echo ran >> ${world.folder}/runs; sleep 100000`)] });
    const first = await world.settle(pod);
    await expect.poll(() => existsSync(join(world.folder, 'runs'))).toBe(true);
    await world.cri.runtime.stopPodSandbox({ podSandboxId: first?.sandbox.id ?? '' });
    const second = await world.settle(pod);
    await world.worker.tidy(pod, second as ObservedPod);
    expect(second?.statuses.get('main')?.state).toBe(ContainerState.CONTAINER_RUNNING);
    expect((await world.observe())?.statuses.get('debugger')?.state).toBe(ContainerState.CONTAINER_EXITED);
    expect(readFileSync(join(world.folder, 'runs'), 'utf8')).toBe('ran\n');
  });

  it('run while the pod still initializes, and go with it', async () => {
    const pod = podOf({
      initContainers: [shell('one', 'sleep 100000')],
      ephemeralContainers: [shell('debugger', 'sleep 100000')],
    });
    const view = await world.settle(pod);
    expect(view?.statuses.get('debugger')?.state).toBe(ContainerState.CONTAINER_RUNNING);
    expect(await world.statusOf(pod)).toMatchObject({
      phase: 'Pending',
      ephemeralContainerStatuses: [{ name: 'debugger', ready: false, state: { running: {} } }],
    });
    await world.worker.remove(view as ObservedPod, 0);
    expect((await world.cri.runtime.listContainers({})).containers).toEqual([]);
  });

  it('are stopped when the containers are over', async () => {
    const pod = podOf({
      restartPolicy: 'Never',
      containers: [shell('main', `until [ -e ${world.folder}/begun ]; do sleep 0.1; done`)],
      ephemeralContainers: [shell('debugger', `touch ${world.folder}/begun; sleep 100000`)],
    });
    const status = await world.until(pod, (seen) => seen.phase === 'Succeeded' && hasEnded(seen));
    expect(status.ephemeralContainerStatuses).toMatchObject([{ state: { terminated: { exitCode: 137 } } }]);
  });

  it('that were made and never started, by a kubelet that was killed then, run as the first', async () => {
    const pod = podOf();
    const view = (await world.settle(pod)) as ObservedPod;
    mkdirSync(join(world.folders.logs, 'default_web_u-1', 'debugger'), { recursive: true });
    const debugged = podOf({ ephemeralContainers: [shell('debugger', 'sleep 100000')] });
    const config = await world.configOf(podOf({ containers: [shell('debugger', 'sleep 100000')] }), 0);
    const sandbox = sandboxConfig(pod, 0, world.folders);
    await world.cri.runtime.createContainer({ podSandboxId: view.sandbox.id, config, sandboxConfig: sandbox });
    expect((await world.settle(debugged))?.statuses.get('debugger')).toMatchObject({
      state: ContainerState.CONTAINER_RUNNING,
      metadata: { attempt: 0 },
    });
  });

  it('wait for an image, and for the container whose processes they are to see', async () => {
    const lost = { name: 'lost', image: 'registry.invalid/none' };
    const targeting = { ...shell('targeting', 'sleep 100000'), targetContainerName: 'main' };
    const pod = podOf({ initContainers: [shell('one', 'sleep 100000')], ephemeralContainers: [lost, targeting] });
    await world.worker.sync(pod, undefined);
    const [withoutImage, withoutTarget] = (await world.statusOf(pod)).ephemeralContainerStatuses ?? [];
    expect(withoutImage?.state?.waiting?.reason).toBe('ErrImagePull');
    expect(withoutTarget?.state?.waiting).toEqual({
      reason: 'CreateContainerConfigError',
      message: 'unable to find target container main',
    });
    expect((await world.statusOf(pod)).ephemeralContainerStatuses?.[0]?.state?.waiting?.reason).toBe(
      'ImagePullBackOff',
    );
  });

  it('that cannot start say why, and are not tried again', async () => {
    const bad = { name: 'bad', image: HOST_IMAGE, command: ['/no/such/command'] };
    const pod = podOf({ ephemeralContainers: [bad] });
    await world.worker.sync(pod, undefined);
    for (let turn = 0; turn < 2; turn += 1) {
      expect((await world.statusOf(pod)).ephemeralContainerStatuses).toMatchObject([
        {
          state: { waiting: { reason: 'RunContainerError', message: expect.stringContaining('/no/such/command') } },
          lastState: { terminated: { exitCode: 128, reason: 'StartError' } },
          restartCount: 0,
        },
      ]);
    }
    expect((await world.observe())?.olderContainers).toEqual([]);
    const never = { ...pod, spec: { ...pod.spec, restartPolicy: 'Never' as const } };
    expect((await world.statusOf(never)).ephemeralContainerStatuses).toMatchObject([
      { state: { terminated: { exitCode: 128, reason: 'StartError' } } },
    ]);
  });

  it('are told of as what they are', async () => {
    const told: string[] = [];
    world.newWorker({
      onEvent: ({ spec }, { reason, container = '' }) => told.push(`${reason} ${fieldPathOf(spec, container)}`),
    });
    const pod = podOf({ ephemeralContainers: [shell('debugger', 'sleep 100000')] });
    const view = (await world.settle(pod)) as ObservedPod;
    await world.worker.remove(view, 0, { spec: pod.spec });
    for (const reason of ['Created', 'Started', 'Killing']) {
      expect(told).toContain(`${reason} spec.ephemeralContainers{debugger}`);
    }
  });
});
