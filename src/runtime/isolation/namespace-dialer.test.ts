import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { NetworkNamespace } from '../../../test/support/network-namespace.ts';
import { readAll } from '../../../test/support/read-all.ts';
import { isolationObstacle } from './index.ts';
import { NamespaceDialer } from './namespace-dialer.ts';

const obstacle = await isolationObstacle();
const NEVER = new AbortController().signal;

/** What runs inside: says a line to whoever comes, then answers its whole input with its length. */
const SERVER = `
const server = require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.write('hello\\n');
  let length = 0;
  socket.on('data', (chunk) => { length += chunk.length; });
  socket.on('end', () => socket.end(String(length)));
});
server.listen(0, process.argv[1], () => console.log(server.address().port));
`;

describe.skipIf(obstacle !== undefined)('connections inside a network namespace', () => {
  const stack: AsyncDisposable[] = [];

  afterEach(async () => {
    for (const thing of stack.splice(0).toReversed()) await thing[Symbol.asyncDispose]();
  });

  async function inside(options: { readonly host?: string; readonly idleMs?: number } = {}) {
    const namespace = await NetworkNamespace.create();
    stack.push(namespace);
    const [program, ...args] = namespace.commandLine(process.execPath, '-e', SERVER, options.host ?? '127.0.0.1');
    const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    const dialer = new NamespaceDialer(`/run/netns/${namespace.name}`, 'podwire-test/dialer', options);
    stack.push({ [Symbol.asyncDispose]: () => dialer.close() });
    return { dialer, port: Number(line), host: options.host ?? '127.0.0.1', signal: NEVER };
  }

  it('reaches a server that only loopback of the namespace knows', async () => {
    const { dialer, ...where } = await inside();
    const outside = createConnection(where);
    const [refused] = (await once(outside, 'error')) as [NodeJS.ErrnoException];
    expect(refused.code).toBe('ECONNREFUSED');
    const socket = await dialer.dial(where);
    socket.end(Buffer.alloc(3_000_000));
    expect((await readAll(socket)).toString()).toBe('hello\n3000000');
  });

  it('gives many connections by one helper, and they outlive it', async () => {
    const { dialer, ...where } = await inside({ host: '::1' });
    const sockets = await Promise.all(
      Array.from({ length: 50 }, () => dialer.dial({ ...where, signal: new AbortController().signal })),
    );
    const pid = dialer.helperPid;
    await dialer.dial(where).then((socket) => socket.destroy());
    expect(dialer.helperPid).toBe(pid);
    await dialer.close();
    expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH');
    const answers = sockets.map(async (socket, at) => {
      socket.end(Buffer.alloc(at));
      return (await readAll(socket)).toString();
    });
    expect(await Promise.all(answers)).toEqual(sockets.map((_socket, at) => `hello\n${at}`));
    await expect(dialer.dial(where)).rejects.toThrow('the pod is stopped');
  });

  it('says why a port does not answer, and goes on', async () => {
    const { dialer, ...where } = await inside();
    await expect(dialer.dial({ ...where, port: 1 })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      message: 'connect ECONNREFUSED 127.0.0.1:1',
    });
    (await dialer.dial(where)).destroy();
  });

  it('gives a dial up when it is told to', async () => {
    const { dialer, ...where } = await inside();
    const stop = new AbortController();
    const dialed = dialer.dial({ ...where, signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(dialed).rejects.toThrow('enough');
    await expect(dialer.dial({ ...where, signal: stop.signal })).rejects.toThrow('enough');
    (await dialer.dial(where)).destroy();
  });

  it('starts another helper for one that died or was idle', async () => {
    const { dialer, ...where } = await inside({ idleMs: 1 });
    (await dialer.dial(where)).destroy();
    const first = dialer.helperPid ?? 0;
    while (dialer.helperPid === first) await new Promise(setImmediate);
    const dialed = dialer.dial(where);
    process.kill(dialer.helperPid ?? 0, 'SIGKILL');
    await expect(dialed).rejects.toThrow("the helper in the pod's network ended");
    (await dialer.dial(where)).destroy();
  });

  it('fails for a namespace that is gone', async () => {
    const dialer = new NamespaceDialer('/nowhere', 'podwire-test/dialer');
    await expect(dialer.dial({ host: '127.0.0.1', port: 1, signal: NEVER })).rejects.toThrow('helper');
    await dialer.close();
  });
});
