import { getEventListeners, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type handleUnaryCall, Server, ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whenAborted } from '../../test/support/when-aborted.ts';
import { deferred } from '../common/deferred.ts';
import { CriClient, grpcCodes, type RuntimeCallError, serveCri } from './index.ts';

let folder: string;
let sockets = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-cri-'));
});
afterAll(() => rm(folder, { recursive: true }));

const newSocketPath = (): string => join(folder, `${sockets++}.sock`);

describe('a CRI client', () => {
  it('cancels a unary call by its signal, and the handler learns of it', async () => {
    const started = deferred<AbortSignal>();
    const status = async (_: unknown, { signal }: { signal: AbortSignal }) => {
      started.resolve(signal);
      throw await whenAborted(signal);
    };
    await using server = await serveCri({ runtime: { status } }, { socketPath: newSocketPath() });
    await using client = new CriClient(server.endpoints[0]!);
    const stop = new AbortController();
    const call = client.runtime.status({}, { signal: stop.signal });
    const told = started.promise.then(whenAborted);
    await started.promise;
    stop.abort(new Error('the user left'));
    await expect(call).rejects.toMatchObject({
      code: 'ERR_ABORTED',
      message: 'rpc error: code = Canceled desc = the caller gave up: the user left',
      cause: stop.signal.reason as Error,
    });
    expect(await told).toMatchObject({ grpcCode: grpcCodes.Canceled });
    await expect(client.runtime.status({}, { signal: stop.signal })).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  });

  it.each(['break', 'abort'])('ends a stream by %s, and the generator runs its finally', async (how) => {
    const ended = deferred<void>();
    const runtime = {
      async *getContainerEvents(_: unknown, { signal }: { signal: AbortSignal }) {
        try {
          yield { containerId: 'a' };
          yield { containerId: 'b' };
          await whenAborted(signal);
        } finally {
          ended.resolve();
        }
      },
    };
    await using server = await serveCri({ runtime }, { socketPath: newSocketPath() });
    await using client = new CriClient(server.endpoints[0]!);
    const stop = new AbortController();
    const seen: string[] = [];
    const read = async (): Promise<void> => {
      for await (const { containerId } of client.runtime.getContainerEvents({}, { signal: stop.signal })) {
        seen.push(containerId);
        if (seen.length < 2) continue;
        if (how === 'break') break;
        stop.abort();
      }
    };
    if (how === 'break') await read();
    else await expect(read()).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    await ended.promise;
    expect(seen).toEqual(['a', 'b']);
  });

  it('holds back a generator whose stream nobody reads', async () => {
    let made = 0;
    const chunk = 'x'.repeat(256 * 1024);
    const runtime = {
      async *getContainerEvents() {
        for (;;) {
          made += 1;
          yield { containerId: chunk };
        }
      },
    };
    await using server = await serveCri({ runtime }, { socketPath: newSocketPath() });
    await using client = new CriClient(server.endpoints[0]!);
    const stream = client.runtime.getContainerEvents({});
    await stream.next();
    let before = -1;
    while (made !== before) {
      before = made;
      // Round trips, not a clock: the generator stands still when it has made nothing during many of them.
      for (let turn = 0; turn < 20; turn++) await client.runtime.version({}).catch(() => {});
    }
    expect(made).toBeLessThan(40);
    await stream.return();
  });

  it('fails at once with Unavailable where nobody listens', async () => {
    const path = newSocketPath();
    await using client = new CriClient(path);
    const refusal = { code: 'ERR_CRI_UNAVAILABLE', message: expect.stringContaining(`connect ENOENT ${path}`) };
    await expect(client.runtime.version({})).rejects.toMatchObject(refusal);
    await expect(client.image.pullImage({})).rejects.toMatchObject(refusal);
    await expect(client.runtime.getContainerEvents({}).next()).rejects.toMatchObject(refusal);
  });

  it('gives up a socket that accepts and then says nothing, even for calls without a deadline', async () => {
    const path = newSocketPath();
    const accepted: Socket[] = [];
    const mute = createServer((socket) => accepted.push(socket)).listen(path);
    await once(mute, 'listening');
    await using client = new CriClient(path, { connectTimeoutMs: 100 });
    await expect(client.image.pullImage({})).rejects.toMatchObject({
      code: 'ERR_CRI_UNAVAILABLE',
      description: `unix://${path} did not speak HTTP/2 within 100 ms`,
    });
    await expect(client.runtime.version({}, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'ERR_CRI_DEADLINE' });
    for (const socket of accepted) socket.destroy();
    mute.close();
  });

  it('fails the calls under way when the runtime dies, and reconnects by itself', async () => {
    const started = deferred<void>();
    const never = async () => {
      started.resolve();
      return new Promise<never>(() => {});
    };
    await using server = await serveCri(
      { runtime: { status: never, version: async () => ({ runtimeName: 'back' }) } },
      { socketPath: newSocketPath() },
      { closeGraceMs: 0 },
    );
    const cut = await relayTo(server.endpoints[0]!.slice('unix://'.length));
    await using client = new CriClient(`127.0.0.1:${cut.port}`);
    const call = client.runtime.status({});
    await started.promise;
    cut.connections.forEach((socket) => socket.destroy());
    await expect(call).rejects.toMatchObject({ code: 'ERR_CRI_UNAVAILABLE', hop: 'runtime' });
    expect(await untilAnswered(client)).toBe('back');
    cut.close();
  });

  it('reconnects to a runtime that was away', async () => {
    const socketPath = newSocketPath();
    const handlers = { runtime: { version: async () => ({ runtimeName: 'back' }) } };
    const first = await serveCri(handlers, { socketPath });
    await using client = new CriClient(socketPath);
    await client.runtime.version({});
    await first.close();
    await expect(client.runtime.version({})).rejects.toMatchObject({ code: 'ERR_CRI_UNAVAILABLE' });
    await using second = await serveCri(handlers, { socketPath });
    expect(await untilAnswered(client)).toBe('back');
    expect(second.endpoints).toEqual(first.endpoints);
  });

  it('cancels its calls when it is closed, by close() or by its signal', async () => {
    const started = [deferred<void>(), deferred<void>()];
    let calls = 0;
    const status = async (_: unknown, { signal }: { signal: AbortSignal }) => {
      started[calls++]?.resolve();
      throw await whenAborted(signal);
    };
    await using server = await serveCri({ runtime: { status } }, { socketPath: newSocketPath() });
    const stop = new AbortController();
    const clients = [new CriClient(server.endpoints[0]!), new CriClient(server.endpoints[0]!, { signal: stop.signal })];
    const pending = clients.map((client) => client.runtime.status({}).catch((error: unknown) => error));
    await Promise.all(started.map(({ promise }) => promise));
    await clients[0]!.close();
    stop.abort();
    for (const error of await Promise.all(pending)) expect(error).toMatchObject({ code: 'ERR_ABORTED', grpcCode: 1 });
    for (const client of clients) {
      await expect(client.runtime.version({})).rejects.toMatchObject({ code: 'ERR_ABORTED' });
      await client.close();
    }
  });

  it('leaves nothing behind on a signal that many calls share', async () => {
    const runtime = {
      version: async () => ({}),
      async *getContainerEvents() {
        yield { containerId: 'a' };
      },
    };
    await using server = await serveCri({ runtime }, { socketPath: newSocketPath() });
    const { signal } = new AbortController();
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    const client = new CriClient(server.endpoints[0]!, { signal });
    await Promise.all(Array.from({ length: 50 }, () => client.runtime.version({}, { signal })));
    for await (const event of client.runtime.getContainerEvents({}, { signal })) expect(event.containerId).toBe('a');
    await expect(client.runtime.status({}, { signal })).rejects.toMatchObject({ code: 'ERR_CRI_UNIMPLEMENTED' });
    await client.close();
    process.off('warning', note);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it('says so when a runtime answers with bytes that are no message', async () => {
    const path = newSocketPath();
    const server = new Server();
    const asIs = (bytes: Buffer): Buffer => bytes;
    const version = {
      path: '/runtime.v1.RuntimeService/Version',
      requestStream: false,
      responseStream: false,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    const handler: handleUnaryCall<Buffer, Buffer> = (_, callback) => callback(null, Buffer.from([0x0a, 0xff]));
    server.addService({ version }, { version: handler });
    await new Promise((resolve) => server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), resolve));
    await using client = new CriClient(path);
    await expect(client.runtime.version({})).rejects.toMatchObject({ code: 'ERR_CRI_CALL', hop: 'runtime' });
    server.forceShutdown();
  });

  it('refuses, before it sends anything, a value that does not fit its field', async () => {
    await using client = new CriClient(newSocketPath());
    const call = client.runtime.stopContainer({ containerId: 'c', timeout: 1n << 70n });
    await expect(call).rejects.toMatchObject({
      code: 'ERR_CRI_INVALID_ARGUMENT',
      message: expect.stringContaining('StopContainerRequest.timeout'),
    } satisfies Partial<Record<keyof RuntimeCallError, unknown>>);
    await expect(client.runtime.version({}, { timeoutMs: Number.NaN })).rejects.toMatchObject({
      grpcCode: grpcCodes.InvalidArgument,
      description: "a call's timeout is 0 ms or more, not NaN",
    });
  });
});

/** Calls until the runtime answers; each failure meanwhile must be Unavailable. */
async function untilAnswered(client: CriClient): Promise<string> {
  for (;;) {
    try {
      return (await client.runtime.version({})).runtimeName;
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_CRI_UNAVAILABLE' });
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

interface CuttableRelay {
  readonly port: number;
  readonly connections: Set<Socket>;
  close(): void;
}

/** A TCP relay to a unix socket, whose connections the test can cut as a crash would. */
async function relayTo(path: string): Promise<CuttableRelay> {
  const connections = new Set<Socket>();
  const server = createServer((downstream) => {
    const upstream = connect(path);
    for (const socket of [downstream, upstream]) {
      connections.add(socket);
      socket.on('error', () => {}).on('close', () => connections.delete(socket));
    }
    downstream.pipe(upstream).pipe(downstream);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    connections,
    close: () => {
      server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}
