import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTransport, KubeClient, type Pod, pods } from '../../../src/kubeapi/index.ts';
import { BackgroundChild } from '../../support/child.ts';
import { freePort } from '../../support/free-port.ts';
import { kubeconfigFile } from '../../support/kubeconfig-file.ts';
import { Kubectl } from '../../support/kubectl.ts';
import { describeWithPeer } from '../../support/peer.ts';
import { PodwireHop } from '../../support/podwire.ts';

describeWithPeer('kubectl', 'kubectl get pods -w', () => {
  let folder: string;
  let port: number;
  let client: KubeClient;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'podwire-kubectl-watch-'));
    port = await freePort();
    client = new KubeClient(createTransport({ server: new URL(`http://127.0.0.1:${port}`) }));
    writeFileSync(join(folder, 'kubeconfig'), kubeconfigFile(`http://127.0.0.1:${port}`));
  });
  afterEach(() => {
    client.close();
    rmSync(folder, { recursive: true });
  });

  const startApiserver = (): Promise<PodwireHop> =>
    PodwireHop.start('apiserver', [
      `--cert-dir=${join(folder, 'apiserver')}`,
      `--insecure-port=${port}`,
      '--secure-port=0',
      '--anonymous-auth',
      '--authorization-mode=AlwaysAllow',
      '--controllers=namespace',
    ]);

  /** Makes a pod. @returns what a watch shows of it */
  async function make(name: string): Promise<string> {
    const pod: Pod = { metadata: { name }, spec: { containers: [{ name: 'main', image: 'image' }] } };
    const { metadata } = await client.create(pods, pod, { namespace: 'default' });
    return `ADDED ${name} ${metadata.resourceVersion}\n`;
  }

  function watch(kubectl: Kubectl): BackgroundChild {
    const format = '{.type} {.object.metadata.name} {.object.metadata.resourceVersion}{"\\n"}';
    const flags = ['--watch', '--output-watch-events', '-o', `jsonpath=${format}`];
    const { argv, env } = kubectl.commandLine('get', 'pods', ...flags);
    return new BackgroundChild(argv[0] ?? '', argv.slice(1), { env });
  }

  it('shows each event once, ends when the apiserver is killed, and begins again with the same versions', async () => {
    using kubectl = await Kubectl.create({ kubeconfig: join(folder, 'kubeconfig') });
    await using first = await startApiserver();
    const before = [await make('a')];
    await using watching = watch(kubectl);
    await watching.waitForLog(/ADDED a \d+\n/);
    before.push(await make('b'));
    await watching.waitForLog(/ADDED b \d+\n/);
    await first.kill();
    // As it does before a real apiserver: it neither fails nor tries again.
    expect(await watching.exited).toMatchObject({ exitCode: 0 });
    expect(watching.log).toBe(before.join(''));

    await using _second = await startApiserver();
    await using again = watch(kubectl);
    await again.waitForLog(/ADDED b \d+\n/);
    const after = await make('c');
    await again.waitForLog(/ADDED c \d+\n/);
    expect(again.log).toBe([...before, after].join(''));
  });
});
