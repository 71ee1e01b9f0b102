import { expect, it } from 'vitest';
import { BackgroundChild } from './child.ts';
import { Containerd } from './containerd.ts';
import { ExecRelay } from './exec-relay.ts';
import { Kubectl } from './kubectl.ts';
import { describeWithPeer } from './peer.ts';

describeWithPeer(['containerd', 'kubectl'], 'the plain relay before containerd', () => {
  it('lets kubectl find, forward to and miss a pod', async () => {
    await using containerd = await Containerd.start();
    const pod = await containerd.runPod({ name: 'web', command: ['httpd', '-f', '-p', '8080', '-h', '/www'] });
    await using relay = await ExecRelay.start(containerd.cri);
    relay.add('web', pod);
    using kubectl = await Kubectl.create({ kubeconfig: relay.kubeconfig });
    expect(await kubectl.must('get', 'pod', 'web', '-o', 'jsonpath={.status.phase}')).toBe('Running');
    expect((await kubectl.exec({ pod: 'other', argv: ['true'] })).exitCode).toBe(1);

    const { argv, env } = kubectl.commandLine('port-forward', 'web', ':8080');
    await using forward = new BackgroundChild(argv[0] ?? '', argv.slice(1), { env });
    const [, port] = await forward.waitForLog(/127\.0\.0\.1:(\d+) -> 8080/);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('podwire\n');
  });
});
