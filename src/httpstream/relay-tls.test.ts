import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, createServer, type TLSSocket } from 'node:tls';
import * as fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { deferred } from '../common/deferred.ts';
import { CertificateAuthority, type KeyPair } from '../pki/index.ts';
import { canReadInBulk, readInBulk } from './bulk-socket.ts';
import { type RelayResult, relay } from './relay.ts';

const RECORD_BYTES = 16 * 1024;

let pair: KeyPair;
let ca: string;

beforeAll(async () => {
  const authority = await CertificateAuthority.create('relay-test');
  ca = authority.certificate;
  pair = await authority.issue({ commonName: 'relay', hosts: ['localhost'], usages: ['server'] });
});

const open: Server[] = [];

afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function listen(onSocket: (socket: TLSSocket) => void): Promise<number> {
  const server = createServer({ cert: pair.certificate, key: pair.key, allowHalfOpen: true }, onSocket);
  open.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function dial(port: number): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
  socket.allowHalfOpen = true;
  await once(socket, 'secureConnect');
  return socket;
}

interface Chain {
  readonly client: TLSSocket;
  readonly server: TLSSocket;
  readonly done: Promise<RelayResult>;
}

/** A client, a server and a relay, TLS on both sides; the relay has just written `hello` to the client. */
async function chain(): Promise<Chain> {
  const accepted = deferred<TLSSocket>();
  const relayed = deferred<{ done: Promise<RelayResult> }>();
  const backPort = await listen((socket) => accepted.resolve(socket));
  const frontPort = await listen((near) => {
    void dial(backPort).then((far) => {
      near.write('hello ');
      const head = Buffer.alloc(0);
      relayed.resolve({ done: relay({ socket: near, head }, { socket: far, head }, { lingerMs: 500 }) });
    });
  });
  const client = await dial(frontPort);
  return { client, server: await accepted.promise, ...(await relayed.promise) };
}

function hashOf(socket: Duplex): Promise<string> {
  const hash = createHash('sha256');
  return new Promise((resolve) =>
    socket.on('data', (bytes) => hash.update(bytes)).once('end', () => resolve(hash.digest('hex'))),
  );
}

function sha256(...parts: (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

describe('relay with TLS on both sides', () => {
  it.each(['up', 'down'] as const)('keeps 32 MiB whole on the way %s', async (way) => {
    const { client, server, done } = await chain();
    const [giver, taker] = way === 'up' ? [client, server] : [server, client];
    giver.resume();
    const block = randomBytes(1024 * 1024);
    const received = hashOf(taker);
    for (let index = 0; index < 32; index += 1) if (!giver.write(block)) await once(giver, 'drain');
    giver.end();
    taker.end();
    const blocks = Array.from({ length: 32 }, () => block);
    expect(await received).toBe(way === 'up' ? sha256(...blocks) : sha256('hello ', ...blocks));
    await done;
  });

  it('delivers full records that an end follows at once', async () => {
    for (const records of [1, 2, 3, 63, 64, 65]) {
      const { client, server, done } = await chain();
      server.resume();
      const received = hashOf(client);
      const bytes = randomBytes(records * RECORD_BYTES);
      server.end(bytes);
      client.end();
      expect(await received).toBe(sha256('hello ', bytes));
      expect(await done).toMatchObject({ bytesDown: bytes.length });
    }
  });

  it('does not keep full records back that nothing follows', async () => {
    const { client, server, done } = await chain();
    let seen = 0;
    const expected = 'hello '.length + 2 * RECORD_BYTES;
    const whole = deferred<undefined>();
    client.on('data', (bytes: Buffer) => {
      seen += bytes.length;
      if (seen === expected) whole.resolve(undefined);
    });
    server.write(randomBytes(RECORD_BYTES));
    server.write(randomBytes(RECORD_BYTES));
    await whole.promise;
    client.destroy();
    server.destroy();
    await done;
  });

  it('keeps any sequence of sizes whole in both directions at once, to slow readers too', async () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constantFrom(RECORD_BYTES, 70_000, 300_000)), {
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(sizes, sizes, fc.boolean(), async (up, down, isSlow) => {
        const { client, server, done } = await chain();
        const [atServer, atClient] = [hashOf(server), hashOf(client)];
        if (isSlow) for (const socket of [client, server]) slow(socket);
        const [sentUp, sentDown] = [up, down].map((list) => list.map((size) => randomBytes(size)));
        for (const bytes of sentUp ?? []) client.write(bytes);
        for (const bytes of sentDown ?? []) server.write(bytes);
        client.end();
        server.end();
        expect(await atServer).toBe(sha256(...(sentUp ?? [])));
        expect(await atClient).toBe(sha256('hello ', ...(sentDown ?? [])));
        await done;
      }),
      { numRuns: 25 },
    );
  });

  it('stops the giver when the taker does not read, and goes on when it does', async () => {
    const { client, server, done } = await chain();
    client.pause();
    const block = Buffer.alloc(256 * 1024, 'x');
    let blocks = 0;
    const fill = (): void => {
      let takesMore = true;
      for (; takesMore && blocks < 400; blocks += 1) takesMore = server.write(block);
    };
    server.on('drain', fill).resume();
    fill();
    let before = 0;
    const hasStopped = (): boolean => {
      const isSame = before === blocks;
      before = blocks;
      return isSame && server.writableLength > 0;
    };
    await expect.poll(hasStopped, { interval: 100, timeout: 10_000 }).toBe(true);
    expect(blocks).toBeLessThan(400);
    server.off('drain', fill);
    const received = hashOf(client);
    client.resume();
    server.end();
    client.end();
    expect(await received).toBe(sha256('hello ', Buffer.alloc(blocks * block.length, 'x')));
    await done;
  });

  it('ends the one side when the other is reset', async () => {
    const { client, server, done } = await chain();
    client.on('error', () => {}).resume();
    server.on('error', () => {});
    const gone = once(client, 'close');
    client.end();
    server.destroy();
    await gone;
    await done;
  });

  it('ends both sides when what comes is no TLS any longer', async () => {
    const accepted = deferred<TLSSocket>();
    const relayed = deferred<{ done: Promise<RelayResult> }>();
    const backPort = await listen((socket) => accepted.resolve(socket));
    const head = Buffer.alloc(0);
    const frontPort = await listen((near) => {
      void dial(backPort).then((far) => {
        relayed.resolve({ done: relay({ socket: near, head }, { socket: far, head }, { lingerMs: 200 }) });
      });
    });
    const tcp = connectTcp(frontPort, '127.0.0.1').on('error', () => {});
    const client = connect({ socket: tcp, servername: 'localhost', ca }).on('error', () => {});
    await once(client, 'secureConnect');
    const server = await accepted.promise;
    const { done } = await relayed.promise;
    const atServer = hashOf(server);
    client.write('whole');
    await once(server, 'data');
    tcp.write(Buffer.alloc(100, 0xff));
    expect(await atServer).toBe(sha256('whole'));
    server.end();
    expect((await done).endedBy).toBe('downstream');
    client.destroy();
  });

  it('takes the TLS and the TCP handle with it when somebody destroys the socket it was made from', async () => {
    const accepted = deferred<TLSSocket>();
    const client = await dial(await listen((socket) => accepted.resolve(socket)));
    const old = await accepted.promise;
    expect(canReadInBulk(old)).toBe(true);
    const bulk = readInBulk(old, { take: ({ release }) => release(), wantsMore: () => true });
    client.resume();
    const gone = Promise.all([once(bulk, 'close'), once(client, 'end')]);
    old.destroy();
    await gone;
    client.destroy();
  });

  it('refuses to move a handle whose end has come already', async () => {
    const server = createTcpServer({ allowHalfOpen: true });
    open.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    const client = connectTcp((server.address() as AddressInfo).port, '127.0.0.1');
    const [socket] = (await once(server, 'connection')) as [Socket];
    expect(canReadInBulk(socket)).toBe(true);
    socket.resume();
    const ended = once(socket, 'end');
    client.end();
    await ended;
    expect(canReadInBulk(socket)).toBe(false);
    socket.destroy();
  });
});

/** Lets it read a little at each turn of the event loop. */
function slow(socket: Duplex): void {
  socket.on('data', () => {
    socket.pause();
    setImmediate(() => socket.resume());
  });
}
