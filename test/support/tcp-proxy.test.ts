import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { readAll } from './read-all.ts';
import { seededRandom } from './seed.ts';
import { type Fault, randomFault, TcpProxy } from './tcp-proxy.ts';

interface Ends extends AsyncDisposable {
  readonly client: Socket;
  readonly server: Socket;
  readonly proxy: TcpProxy;
}

async function connectThrough(fault?: Fault): Promise<Ends> {
  const listener = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const proxy = await TcpProxy.start({ host: '127.0.0.1', port: (listener.address() as AddressInfo).port });
  proxy.breakNext(fault);
  const client = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  const [server] = (await once(listener, 'connection')) as [Socket];
  for (const socket of [client, server]) socket.on('error', () => undefined);
  return {
    client,
    server,
    proxy,
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      server.destroy();
      listener.close();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

it('relays both ways and half-closes', async () => {
  await using ends = await connectThrough();
  ends.client.end('question');
  expect((await readAll(ends.server)).toString()).toBe('question');
  ends.server.end('answer');
  expect((await readAll(ends.client)).toString()).toBe('answer');
});

it('resets both sides at a byte', async () => {
  await using ends = await connectThrough({ kind: 'reset', direction: 'up', at: 5 });
  const got: Buffer[] = [];
  ends.server.on('data', (chunk: Buffer) => got.push(chunk));
  const errors = Promise.all([once(ends.server, 'error'), once(ends.client, 'error')]);
  ends.client.write('12345');
  await once(ends.server, 'data');
  ends.client.write('678');
  expect((await errors).map(([error]) => (error as NodeJS.ErrnoException).code)).toEqual(['ECONNRESET', 'ECONNRESET']);
  expect(Buffer.concat(got).toString()).toBe('12345');
});

it('ends one direction at a byte and leaves the other', async () => {
  await using ends = await connectThrough({ kind: 'end', direction: 'up', at: 3 });
  ends.client.write('123456');
  expect((await readAll(ends.server)).toString()).toBe('123');
  ends.server.end('still open');
  expect((await readAll(ends.client)).toString()).toBe('still open');
});

it('stalls a direction, and the sender feels it', async () => {
  await using ends = await connectThrough({ kind: 'stall', direction: 'down', at: 1 });
  ends.server.write('ab');
  expect(String((await once(ends.client, 'data'))[0])).toBe('a');
  // More than the buffers of two sockets and a proxy hold.
  ends.server.write(Buffer.alloc(64 * 1024 * 1024));
  ends.client.write('up still passes');
  expect(String((await once(ends.server, 'data'))[0])).toBe('up still passes');
  expect(ends.server.writableLength).toBeGreaterThan(0);
});

it('freezes and resets what lives', async () => {
  await using ends = await connectThrough();
  ends.client.write('a');
  await once(ends.server, 'data');
  ends.proxy.freeze();
  ends.client.write('b');
  const arrived: unknown[] = [];
  ends.server.on('data', (chunk) => arrived.push(chunk));
  const error = once(ends.client, 'error');
  ends.proxy.resetAll();
  await error;
  expect(arrived).toEqual([]);
});

it('chooses the same faults for the same seed', () => {
  const faults = (seed: number): Fault[] => {
    const random = seededRandom(seed);
    return Array.from({ length: 50 }, () => randomFault(random, 1000));
  };
  expect(faults(3)).toEqual(faults(3));
  expect(new Set(faults(3).map(({ kind }) => kind)).size).toBe(3);
});
