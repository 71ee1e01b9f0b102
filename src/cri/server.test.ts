import { once } from 'node:events';
import { lstat, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CriCaller } from '../../test/support/cri-caller.ts';
import { whenAborted } from '../../test/support/when-aborted.ts';
import { deferred } from '../common/deferred.ts';
import { ContainerState, CriClient, grpcCodes, type HandlerContext, serveCri } from './index.ts';

let folder: string;
let socketPath: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-cri-'));
  socketPath = join(folder, 'cri.sock');
});
afterEach(() => rm(folder, { recursive: true }));

const runtime = { version: async () => ({ runtimeName: 'test', runtimeVersion: '1' }) };

describe('the socket of a CRI server', () => {
  it('is for owner and group only, and gone after close', async () => {
    const server = await serveCri({ runtime }, { socketPath: `unix://${socketPath}` });
    const stats = await lstat(socketPath);
    expect([stats.isSocket(), stats.mode & 0o777]).toEqual([true, 0o660]);
    expect(server.endpoints).toEqual([`unix://${socketPath}`]);
    await server.close();
    await server.close();
    expect(await readdir(folder)).toEqual([]);
  });

  it('replaces one that nobody listens on any more', async () => {
    const crashed = createServer().listen(`${socketPath}.old`);
    await once(crashed, 'listening');
    await rename(`${socketPath}.old`, socketPath);
    crashed.close();
    await once(crashed, 'close');
    expect((await lstat(socketPath)).isSocket()).toBe(true);
    await using server = await serveCri({ runtime }, { socketPath });
    await using client = new CriClient(server.endpoints[0]!);
    expect(await client.runtime.version({})).toMatchObject({ runtimeName: 'test' });
  });

  it('is refused while another process listens there, which stays unharmed', async () => {
    await using server = await serveCri({ runtime }, { socketPath });
    await expect(serveCri({}, { socketPath })).rejects.toMatchObject({
      code: 'ERR_CRI_LISTEN',
      message: `cannot serve CRI on unix://${socketPath}: another process listens there`,
    });
    await using client = new CriClient(server.endpoints[0]!);
    expect(await client.runtime.version({})).toMatchObject({ runtimeName: 'test' });
  });

  it('is refused where a file lies, and the file is kept', async () => {
    await writeFile(socketPath, 'precious');
    await expect(serveCri({}, { socketPath })).rejects.toMatchObject({ code: 'ERR_CRI_LISTEN' });
    expect(await readFile(socketPath, 'utf8')).toBe('precious');
  });

  it('is refused, in the words of the system, where it cannot be made', async () => {
    const path = join(folder, 'missing', 'cri.sock');
    await expect(serveCri({}, { socketPath: path })).rejects.toMatchObject({
      code: 'ERR_CRI_LISTEN',
      message: expect.stringMatching(/^cannot serve CRI on unix:\S+: listen E[A-Z]+: [^[\]]+$/),
    });
  });

  it('is given back when the TCP address beside it is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    await expect(serveCri({}, { socketPath, tcp: `127.0.0.1:${port}` })).rejects.toThrow(/EADDRINUSE/);
    await using again = await serveCri({ runtime }, { socketPath });
    expect(again.endpoints).toHaveLength(1);
    holder.close();
  });

  it.each([
    ['nothing', {}],
    ['a TCP address beyond loopback', { tcp: '0.0.0.0:0' }],
    ['a socket as TCP address', { tcp: '/run/x.sock' }],
    ['a TCP address as socket', { socketPath: '127.0.0.1:0' }],
  ])('is refused for %s', async (_, listen) => {
    await expect(serveCri({}, listen)).rejects.toMatchObject({ code: 'ERR_CRI_ENDPOINT' });
  });
});

describe('a CRI server', () => {
  it('is understood by a client that knows nothing but field numbers', async () => {
    const containerStatus = async ({ containerId }: { containerId: string }) => ({
      status: { id: containerId, state: ContainerState.CONTAINER_RUNNING, exitCode: -1, logPath: '/log' },
    });
    const handlers = { runtime: { ...runtime, containerStatus } };
    await using server = await serveCri(handlers, { socketPath, tcp: '127.0.0.1:0' });
    for (const endpoint of [`unix://${socketPath}`, server.endpoints[1]!.slice('tcp://'.length)]) {
      using caller = new CriCaller(endpoint);
      expect(await caller.version()).toEqual(['test', '1']);
      const status = (await caller.call('RuntimeService/ContainerStatus', { 1: 'abc' })).messages(1)[0]!;
      expect([status.text(1), status.text(15)]).toEqual(['abc', '/log']);
      await expect(caller.call('RuntimeService/Status', {})).rejects.toMatchObject({ code: grpcCodes.Unimplemented });
      await expect(caller.call('RuntimeService/NoSuchCall', {})).rejects.toMatchObject({
        code: grpcCodes.Unimplemented,
      });
    }
  });

  it('closes at once when its clients are idle or have said nothing yet', async () => {
    const server = await serveCri({ runtime }, { socketPath }, { closeGraceMs: 60_000 });
    await using client = new CriClient(socketPath);
    await client.runtime.version({});
    const mute = connect(socketPath);
    mute.on('error', () => {});
    await once(mute, 'connect');
    const gone = once(mute, 'close');
    mute.resume();
    await server.close();
    await gone;
  });

  it('lets a unary call finish while it closes, and ends streams', async () => {
    const [entered, finish] = [deferred<void>(), deferred<void>()];
    const handlers = {
      status: async () => {
        entered.resolve();
        await finish.promise;
        return { info: { answer: 'late' } };
      },
      async *getContainerEvents(_: unknown, { signal }: HandlerContext) {
        yield { containerId: 'first' };
        await whenAborted(signal);
      },
    };
    const server = await serveCri({ runtime: handlers }, { socketPath }, { closeGraceMs: 60_000 });
    await using client = new CriClient(socketPath);
    const call = client.runtime.status({});
    const events = client.runtime.getContainerEvents({});
    await Promise.all([entered.promise, events.next()]);
    const closing = server.close();
    await expect(events.next()).rejects.toMatchObject({
      grpcCode: grpcCodes.Unavailable,
      description: 'the runtime is shutting down',
    });
    finish.resolve();
    expect(await call).toMatchObject({ info: { answer: 'late' } });
    await closing;
  });

  it('ends calls with Unavailable when its grace is over, whatever their handlers do', async () => {
    const told = deferred<unknown>();
    const entered = deferred<void>();
    const status = async (_: unknown, { signal }: HandlerContext): Promise<never> => {
      entered.resolve();
      told.resolve(await whenAborted(signal));
      return new Promise<never>(() => {});
    };
    const server = await serveCri({ runtime: { status } }, { socketPath }, { closeGraceMs: 10 });
    await using client = new CriClient(socketPath);
    const call = client.runtime.status({}).catch((error: unknown) => error);
    await entered.promise;
    await server.close();
    expect(await call).toMatchObject({ code: 'ERR_CRI_UNAVAILABLE', description: 'the runtime is shutting down' });
    expect(await told.promise).toMatchObject({ grpcCode: grpcCodes.Unavailable });
  });
});
