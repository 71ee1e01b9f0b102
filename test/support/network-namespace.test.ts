import { expect, it } from 'vitest';
import { BackgroundChild } from './child.ts';
import { linkNamespaces, NetworkNamespace } from './network-namespace.ts';
import { describeWithPeer } from './peer.ts';

const ECHO = "require('net').createServer((s) => s.pipe(s)).listen(7, '0.0.0.0', () => console.log('listening'))";
const CALL =
  "const s = require('net').connect(7, process.argv[1], () => s.end('over the cable')); s.pipe(process.stdout)";

describeWithPeer('network-namespaces', 'network namespaces', () => {
  it('are machines of their own, joined by a cable', async () => {
    await using near = await NetworkNamespace.create();
    await using far = await NetworkNamespace.create();
    const { addresses, devices } = await linkNamespaces(near, far, 1);
    const [file, ...args] = far.commandLine(process.execPath, '-e', ECHO);
    await using server = new BackgroundChild(file, args);
    await server.waitForLog(/listening/);
    expect(await near.must(process.execPath, '-e', CALL, addresses[1])).toBe('over the cable');
    expect((await far.run([process.execPath, '-e', CALL, '127.0.0.1'])).exitCode).toBe(0);
    expect((await near.run([process.execPath, '-e', CALL, '127.0.0.1'])).exitCode).not.toBe(0);
    await near.must('ip', 'link', 'set', devices[0], 'down');
    expect((await near.run([process.execPath, '-e', CALL, addresses[1]])).exitCode).not.toBe(0);
  });

  it('end what runs inside with them', async () => {
    const namespace = await NetworkNamespace.create();
    const [file, ...args] = namespace.commandLine('sleep', '1000');
    const sleep = new BackgroundChild(file, args);
    while ((await namespace.must('ip', 'netns', 'pids', namespace.name)).trim() === '');
    await namespace[Symbol.asyncDispose]();
    expect((await sleep.exited).signal).toBe('SIGKILL');
    await namespace[Symbol.asyncDispose]();
  });
});
