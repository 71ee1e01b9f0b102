import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ContainerEventType, CriClient, serveCri } from '../cri/index.ts';
import { createRuntime, HOST_IMAGE } from './index.ts';

it('tells what begins and ends, in order, to those who watch', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-events-'));
  {
    await using runtime = await createRuntime({ stateDir: join(directory, 'state') });
    const server = await serveCri(runtime.handlers, { socketPath: join(directory, 'cri.sock') });
    const client = new CriClient(join(directory, 'cri.sock'));
    const seen: string[] = [];
    let watched = '';
    const watching = (async () => {
      for await (const event of client.runtime.getContainerEvents({})) {
        const podId = event.podSandboxStatus?.id ?? '';
        const whose = event.containerId === podId ? 'pod' : 'container';
        const kind = ContainerEventType[event.containerEventType].split('_')[1];
        seen.push(`${podId} ${kind} ${whose}`);
        if (seen.at(-1) === `${watched} DELETED pod`) break;
      }
    })();
    const metadata = { name: 'p', namespace: 'n', uid: 'u', attempt: 0 };
    // The stream is open when the server has taken the call, which the first answer of another does not tell.
    while (!(await isWatched(client, metadata, seen)));
    const { podSandboxId } = await client.runtime.runPodSandbox({ config: { metadata } });
    watched = podSandboxId;
    const config = { metadata: { name: 'c' }, image: { image: HOST_IMAGE }, command: ['true'] };
    const { containerId } = await client.runtime.createContainer({ podSandboxId, config });
    await client.runtime.startContainer({ containerId });
    await client.runtime.stopContainer({ containerId, timeout: 5n });
    await client.runtime.removeContainer({ containerId });
    const stats = (await client.runtime.podSandboxStats({ podSandboxId })).stats!;
    expect([stats.attributes?.id, stats.linux?.containers.length]).toEqual([podSandboxId, 0]);
    await client.runtime.removePodSandbox({ podSandboxId });
    await watching;
    const own = seen.filter((event) => event.startsWith(podSandboxId)).map((event) => event.slice(65));
    expect(own.join(', ')).toBe(
      'CREATED pod, STARTED pod, CREATED container, STARTED container, STOPPED container, DELETED container, ' +
        'STOPPED pod, DELETED pod',
    );
    await client.close();
    await server.close();
  }
  rmSync(directory, { recursive: true });
});

/** Makes and removes a pod until the watcher has heard of one. */
async function isWatched(
  client: CriClient,
  metadata: { name: string; namespace: string; uid: string },
  seen: readonly string[],
): Promise<boolean> {
  const { podSandboxId } = await client.runtime.runPodSandbox({ config: { metadata: { ...metadata, name: 'first' } } });
  await client.runtime.removePodSandbox({ podSandboxId });
  return seen.length > 0;
}
