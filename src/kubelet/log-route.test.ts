import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { podOf, shell, WorkerWorld } from '../../test/support/worker-world.ts';
import { ContainerState } from '../cri/index.ts';
import { serveLogs } from './log-route.ts';
import { RuntimeView } from './runtime-view.ts';
import { sandboxConfig } from './sandbox-config.ts';

const pod = podOf({ restartPolicy: 'Never', containers: [shell('main', 'echo done')] });

describe('the log of a container', () => {
  let world: WorkerWorld;
  let server: Server;

  beforeEach(async () => {
    world = await WorkerWorld.start();
    server = createServer((request, response) => {
      const { searchParams } = new URL(request.url ?? '/', 'http://kubelet');
      const target = { namespace: 'default', pod: 'web', container: 'main' };
      const view = new RuntimeView(world.cri);
      const context = { cri: world.cri, view, loop: { pods: [] }, signal: new AbortController().signal };
      serveLogs(target, searchParams, response, context).catch((error: unknown) => response.destroy(error as Error));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve));
    await world[Symbol.asyncDispose]();
  });

  async function read(query = ''): Promise<string> {
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}/${query}`, { headers: { connection: 'close' } });
    return `${response.status} ${await response.text()}`;
  }

  /** Makes an attempt and does not start it. */
  async function make(attempt: number): Promise<void> {
    const podSandboxId = (await world.observe())?.sandbox.id ?? '';
    const config = await world.configOf(pod, attempt);
    const sandbox = sandboxConfig(pod, 0, world.folders);
    await world.cri.runtime.createContainer({ podSandboxId, config, sandboxConfig: sandbox });
  }

  it('is that of the attempt before as long as the next one has not started', async () => {
    await world.settle(pod);
    const state = async (): Promise<unknown> => (await world.observe())?.containers.get('main')?.state;
    await expect.poll(state).toBe(ContainerState.CONTAINER_EXITED);
    expect(await read()).toBe('200 done\n');
    await make(1);
    expect(await state()).toBe(ContainerState.CONTAINER_CREATED);
    expect(await read()).toBe('200 done\n');
  });

  it('is not there before the first attempt', async () => {
    const config = sandboxConfig(pod, 0, world.folders);
    await world.cri.runtime.runPodSandbox({ config });
    expect(await read()).toBe('404 container "main" not found in pod "web"');
    await make(0);
    expect(await read()).toBe('400 container "main" in pod "web" is waiting to start: ContainerCreating');
  });
});
