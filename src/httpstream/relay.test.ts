import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { deferred } from '../common/deferred.ts';
import { RELAY_BUFFER_BYTES, type RelayResult, relay } from './relay.ts';

const open: Server[] = [];

async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, onSocket).listen(0, '127.0.0.1');
  open.push(server);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

/** A client, a server and a relay between them, on real sockets. */
async function chain(
  head: { up?: string; down?: string } = {},
): Promise<{ client: Socket; server: Socket; done: Promise<RelayResult> }> {
  const accepted = deferred<Socket>();
  const relayed = deferred<{ done: Promise<RelayResult> }>();
  const backPort = await listen((socket) => accepted.resolve(socket));
  const frontPort = await listen((socket) => {
    const upstream = connect({ port: backPort, host: '127.0.0.1', allowHalfOpen: true }, () => {
      const done = relay(
        { socket, head: Buffer.from(head.up ?? '') },
        { socket: upstream, head: Buffer.from(head.down ?? '') },
        { lingerMs: 200 },
      );
      relayed.resolve({ done });
    });
  });
  const client = connect({ port: frontPort, host: '127.0.0.1', allowHalfOpen: true });
  const server = await accepted.promise;
  const { done } = await relayed.promise;
  return { client, server, done };
}

function hashOf(socket: Socket): Promise<string> {
  const hash = createHash('sha256');
  return new Promise((resolve) =>
    socket.on('data', (bytes) => hash.update(bytes)).once('end', () => resolve(hash.digest('hex'))),
  );
}

describe('relay', () => {
  it('carries bytes both ways, those read with the heads first', async () => {
    const { client, server, done } = await chain({ up: 'early-up ', down: 'early-down ' });
    const atServer = hashOf(server);
    const atClient = hashOf(client);
    client.end('late-up');
    server.end('late-down');
    expect(await atServer).toBe(createHash('sha256').update('early-up late-up').digest('hex'));
    expect(await atClient).toBe(createHash('sha256').update('early-down late-down').digest('hex'));
    expect(await done).toMatchObject({ bytesUp: 16, bytesDown: 20 });
  });

  it.each(['up', 'down'] as const)('keeps 64 MiB whole on the way %s', async (way) => {
    const { client, server, done } = await chain();
    const [giver, taker] = way === 'up' ? [client, server] : [server, client];
    const block = randomBytes(1024 * 1024);
    const sent = createHash('sha256');
    const received = hashOf(taker);
    for (let index = 0; index < 64; index += 1) {
      const part = block.subarray(index * 1000);
      sent.update(part);
      if (!giver.write(part)) await once(giver, 'drain');
    }
    giver.end();
    expect(await received).toBe(sent.digest('hex'));
    // Not before: a side that ends leaves the other no more than the linger.
    taker.end();
    await done;
  });

  it('delivers what was sent before a FIN, then passes the FIN on', async () => {
    const { client, server, done } = await chain();
    server.resume();
    const atClient = hashOf(client);
    const last = randomBytes(300_000);
    server.end(last);
    expect(await atClient).toBe(createHash('sha256').update(last).digest('hex'));
    expect(await done).toMatchObject({ endedBy: 'upstream', bytesDown: 300_000 });
  });

  it('lets neither side hang when the other is reset', async () => {
    const { client, server, done } = await chain();
    client.resume().on('error', () => {});
    const told = once(client, 'end');
    server.resetAndDestroy();
    expect((await done).endedBy).toBe('upstream');
    await told;
  });

  it('stops the giver when the taker does not read', async () => {
    const { client, server, done } = await chain();
    client.pause();
    const block = Buffer.alloc(256 * 1024);
    let accepted = 0;
    const fill = (): void => {
      while (server.write(block)) accepted += block.length;
    };
    server.on('drain', fill);
    fill();
    // The kernel's own buffers take some MiB; far less than what a relay without a bound would swallow.
    await expect.poll(() => server.writableLength, { interval: 50 }).toBeGreaterThan(0);
    const before = accepted;
    await new Promise((resolve) => setImmediate(resolve));
    expect(accepted).toBe(before);
    expect(accepted).toBeLessThan(RELAY_BUFFER_BYTES * 32);
    server.destroy();
    client.destroy();
    await done;
  });

  it('ends both sides when it is aborted', async () => {
    const accepted = deferred<Socket>();
    const port = await listen((socket) => accepted.resolve(socket));
    const near = connect(port, '127.0.0.1');
    const far = await accepted.promise;
    const other = connect(await listen((socket) => socket.resume()), '127.0.0.1');
    await once(other, 'connect');
    const stop = new AbortController();
    near.on('error', () => {}).resume();
    const done = relay(
      { socket: far, head: Buffer.alloc(0) },
      { socket: other, head: Buffer.alloc(0) },
      { signal: stop.signal },
    );
    stop.abort();
    expect((await done).endedBy).toBe('abort');
  });
});
