import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/common/deferred.ts';
import {
  dialSpdy,
  listen,
  openByteStream,
  openChannels,
  refuseUpgrade,
  type SpdySession,
  type SpdyStream,
} from '../../src/httpstream/index.ts';
import { openPortForward, proxyTunnel, servePortForward } from '../../src/portforward/index.ts';
import { Loopback } from '../support/loopback.ts';
import { readAll } from '../support/read-all.ts';
import { RawSpdyPeer } from '../support/spdy-pair.ts';
import { dialLoopback, echo, ForwardWorld, pod } from './portforward-suite.ts';

const protocols = ['portforward.k8s.io'];
const target = { path: '/', headers: [['Host', 'test']] as [string, string][], protocols };

/** A client that opens streams as it likes. */
async function byHand(world: ForwardWorld): Promise<SpdySession> {
  return (await dialSpdy(await world.dial(), target)).session;
}

async function textOf(stream: SpdyStream): Promise<string> {
  return (await readAll(stream)).toString();
}

/** What a stream gives until it ends or is reset. */
async function untilGone(stream: SpdyStream): Promise<string> {
  let text = '';
  stream.on('data', (bytes: Buffer) => (text += bytes.toString()));
  await once(stream, 'close');
  return text;
}

async function echoes(data: SpdyStream, text: string): Promise<void> {
  data.end(text);
  expect(await textOf(data)).toBe(text);
}

describe('the pairing of port-forward streams', () => {
  it('gotcha 79: goes by request id, whatever the order', async () => {
    await using world = await ForwardWorld.start();
    const port = String(await world.target(echo));
    const session = await byHand(world);
    const open = (streamtype: string, requestid: string): Promise<SpdyStream> =>
      session.openStream({ streamtype, port, requestid });
    const dataB = await open('data', 'b');
    const dataA = await open('data', 'a');
    const errorA = await open('error', 'a');
    const errorB = await open('error', 'b');
    await Promise.all([echoes(dataA, 'first'), echoes(dataB, 'second')]);
    expect([await textOf(errorA), await textOf(errorB)]).toEqual(['', '']);
    session.destroy();
  });

  it('gotcha 79: takes the stream ids of old clients that send no request id', async () => {
    await using world = await ForwardWorld.start();
    const port = String(await world.target(echo));
    const session = await byHand(world);
    const error = await session.openStream({ streamtype: 'error', port });
    const data = await session.openStream({ streamtype: 'data', port });
    error.end();
    await echoes(data, 'old');
    expect(await textOf(error)).toBe('');
    session.destroy();
  });

  it('takes a request id again once its pair is done', async () => {
    await using world = await ForwardWorld.start();
    const port = String(await world.target(echo));
    const session = await byHand(world);
    for (const text of ['one', 'two', 'three']) {
      const error = await session.openStream({ streamtype: 'error', port, requestid: '0' });
      const data = await session.openStream({ streamtype: 'data', port, requestid: '0' });
      error.end();
      await echoes(data, text);
      if (!data.closed) await once(data, 'close');
      await session.ping();
    }
    session.destroy();
  });

  it('gotcha 80: drops a pair that is not whole in time, and the session lives', async () => {
    await using world = await ForwardWorld.start({ streamTimeoutMs: 50 });
    const port = String(await world.target(echo));
    const session = await byHand(world);
    const data = await session.openStream({ streamtype: 'data', port, requestid: '1' });
    expect(await untilGone(data)).toBe('');
    const error = await session.openStream({ streamtype: 'error', port, requestid: '2' });
    expect(await untilGone(error)).toBe('(request=2) timed out waiting for streams');
    const again = await session.openStream({ streamtype: 'error', port, requestid: '3' });
    await echoes(await session.openStream({ streamtype: 'data', port, requestid: '3' }), 'alive');
    again.destroy();
    session.destroy();
  });

  it.each(['error', 'data'] as const)('gotcha 81: refuses a second %s stream of one request', async (streamtype) => {
    await using world = await ForwardWorld.start();
    const port = String(await world.target(echo));
    const session = await byHand(world);
    const error = await session.openStream({ streamtype: 'error', port, requestid: '7' });
    const data = await session.openStream({ streamtype: 'data', port, requestid: '7' });
    await expect(session.openStream({ streamtype, port, requestid: '7' })).rejects.toMatchObject({
      code: 'ERR_STREAM_REFUSED',
      message: expect.stringContaining('status 5'),
    });
    await echoes(data, 'still there');
    expect(await textOf(error)).toBe(`error processing stream for request 7: ${streamtype} stream already assigned`);
    session.destroy();
  });

  it.each(['0', '65536', '-1', 'abc', '', '1e3', '8080 '])('gotcha 82: refuses port %j alone', async (port) => {
    await using world = await ForwardWorld.start();
    const good = String(await world.target(echo));
    const session = await byHand(world);
    await expect(session.openStream({ streamtype: 'data', port, requestid: '1' })).rejects.toMatchObject({
      message: expect.stringContaining('status 5'),
    });
    await session.openStream({ streamtype: 'error', port: good, requestid: '1' });
    await echoes(await session.openStream({ streamtype: 'data', port: good, requestid: '1' }), 'x');
    session.destroy();
  });

  it.each([{ port: '80' }, { port: '80', streamtype: 'stdin' }, { streamtype: 'data' }])(
    'gotcha 82: refuses a stream of %j',
    async (headers) => {
      await using world = await ForwardWorld.start();
      const session = await byHand(world);
      await expect(session.openStream(headers as Record<string, string>)).rejects.toMatchObject({
        code: 'ERR_STREAM_REFUSED',
      });
      session.destroy();
    },
  );
});

describe('a port-forward session', () => {
  it.each(['spdy', 'tunnel'] as const)('gotcha 84: has 200 connections over %s, one stalled', async (transport) => {
    await using world = await ForwardWorld.start();
    const echoing = await world.target(echo);
    // Half a MiB that nobody reads: within the session's bound.
    const talking = await world.target((socket) => socket.write(Buffer.alloc(512 * 1024)));
    const session = await openPortForward(await world.dial(), { transport, path: '/', host: 'test' });
    const stalled = await session.connect(talking);
    const texts = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const { data, failed } = await session.connect(echoing);
        data.end(`connection ${index}`);
        const text = (await readAll(data)).toString();
        return [text, await failed];
      }),
    );
    expect(texts).toEqual(Array.from({ length: 200 }, (_, index) => [`connection ${index}`, undefined]));
    let held = 0;
    const whole = deferred<void>();
    stalled.data.on('data', (bytes: Buffer) => {
      held += bytes.length;
      if (held === 512 * 1024) whole.resolve();
    });
    await whole.promise;
    await session.close();
    expect(await world.ended).toMatchObject({ connections: 201 });
  });

  it('gotcha 83: goes on after a port that refused', async () => {
    await using world = await ForwardWorld.start();
    const session = await openPortForward(await world.dial(), { transport: 'spdy', path: '/', host: 'test' });
    const refused = await session.connect(1);
    expect(await refused.failed).toMatchObject({ code: 'ERR_REMOTE' });
    const { data } = await session.connect(await world.target(echo));
    data.end('on');
    expect((await readAll(data)).toString()).toBe('on');
    session.destroy();
  });

  it('gives up a target that has ended when its client stands still', async () => {
    await using world = await ForwardWorld.start({ quietMs: 50 });
    const gone = deferred<void>();
    const port = await world.target((socket) => {
      socket.on('error', () => {}).on('close', () => gone.resolve());
      socket.resume().end('bye');
    });
    const session = await openPortForward(await world.dial(), { transport: 'spdy', path: '/', host: 'test' });
    const { data, failed } = await session.connect(port);
    expect((await readAll(data)).toString()).toBe('bye');
    await gone.promise;
    expect(await failed).toBeUndefined();
    session.destroy();
  });

  it('joins a local connection with a port, to both its ends', async () => {
    await using world = await ForwardWorld.start();
    const port = await world.target(
      (socket) => void readAll(socket).then((bytes) => socket.end(`<${bytes.toString()}>`)),
    );
    const session = await openPortForward(await world.dial(), { transport: 'tunnel', path: '/', host: 'test' });
    await using local = new Loopback();
    const failure = deferred<unknown>();
    const listening = await local.listen(
      createServer({ allowHalfOpen: true }, (socket) => void session.forward(socket, port).then(failure.resolve)),
    );
    const user = connect({ port: listening, host: '127.0.0.1', allowHalfOpen: true });
    user.end('question');
    expect((await readAll(user)).toString()).toBe('<question>');
    expect(await failure.promise).toBeUndefined();
    await session.close();
  });
});

/** A binary message without any byte, masked by zeros. */
const emptyMessage = Buffer.from('828000000000', 'hex');

describe('the tunnel', () => {
  it('gotcha 85: reads SPDY from messages cut anywhere, empty ones and full ones', async () => {
    await using world = await ForwardWorld.start();
    const port = String(await world.target(echo));
    const socket = await world.dial();
    const stream = await openByteStream(socket, {
      path: '/',
      host: 'test',
      protocols: ['SPDY/3.1+portforward.k8s.io'],
    });
    const peer = new RawSpdyPeer(stream);
    const headers = (streamtype: string): Record<string, string> => ({ streamtype, port, requestid: '0' });
    const error = peer.encode.synStream(1, headers('error'));
    // Every byte in a message of its own, an empty message between them.
    for (const byte of error) {
      stream.write(Uint8Array.of(byte));
      socket.write(emptyMessage);
    }
    await peer.frame('SYN_REPLY');
    const data = Buffer.concat([
      peer.encode.synStream(3, headers('data')),
      peer.data(3, 'two frames, '),
      peer.data(3, 'one message', true),
    ]);
    stream.write(data);
    const text = await peer.dataOf(3, (_bytes, fin) => fin);
    expect(text.toString()).toBe('two frames, one message');
    stream.destroy();
  });

  it('refuses what it does not tunnel', async () => {
    await using world = await ForwardWorld.start();
    await expect(
      openByteStream(await world.dial(), { path: '/', host: 'test', protocols: ['SPDY/3.1+other.k8s.io'] }),
    ).rejects.toMatchObject({ httpStatus: 403 });
  });
});

describe('the tunnel at a hop whose next one speaks SPDY alone', () => {
  /** A hop before `upstream`. @returns the port it listens on */
  async function hopBefore(world: Loopback, upstream: number): Promise<number> {
    const hop = await listen({
      onRequest: (_request, response) => response.end(),
      onUpgrade: (request, socket, head) => {
        const connect = (signal: AbortSignal): Promise<Duplex> => dialLoopback(upstream, { signal });
        const refuse = (client: Duplex, { message }: Error): void => refuseUpgrade(client, 500, message);
        void proxyTunnel(
          { request, socket, head },
          { connect, path: '/up?x=1', headers: { Host: 'next' } },
          { refuse },
        );
      },
    });
    world.defer(() => hop.close(0));
    return hop.port;
  }

  it.each([
    [403, 'Forbidden\n'],
    [404, 'pod does not exist\n'],
  ])('gotcha 86: passes a refusal on as HTTP %i', async (status, body) => {
    await using world = new Loopback();
    const upstream = await listen({
      onRequest: (_request, response) => response.end(),
      onUpgrade: (_request, socket) => refuseUpgrade(socket, status, body.trim()),
    });
    world.defer(() => upstream.close(0));
    const socket = await dialLoopback(await hopBefore(world, upstream.port), { signal: new AbortController().signal });
    await expect(openPortForward(socket, { transport: 'tunnel', path: '/', host: 'h' })).rejects.toMatchObject({
      httpStatus: status,
      body,
    });
  });

  it('asks for SPDY by POST and carries connections through', async () => {
    await using world = new Loopback();
    const asked = deferred<unknown>();
    const upstream = await listen({
      onRequest: (_request, response) => response.end(),
      onUpgrade: (request, socket, head) => {
        const { method, url, headers } = request;
        asked.resolve([
          method,
          url,
          headers.host,
          headers.upgrade,
          headers['x-stream-protocol-version'],
          headers['sec-websocket-key'],
        ]);
        void servePortForward({ request, socket, head }, { dial: dialLoopback, pod });
      },
    });
    world.defer(() => upstream.close(0));
    await using targets = await ForwardWorld.start();
    const port = await targets.target(echo);
    const socket = await dialLoopback(await hopBefore(world, upstream.port), { signal: new AbortController().signal });
    const session = await openPortForward(socket, { transport: 'tunnel', path: '/', host: 'h' });
    const { data, failed } = await session.connect(port);
    const bytes = Buffer.alloc(3_000_000, 'through the hop ');
    data.end(bytes);
    expect((await readAll(data)).equals(bytes)).toBe(true);
    expect(await failed).toBeUndefined();
    await session.close();
    expect(await session.closed).toEqual({ kind: 'clean', by: 'local' });
    expect(await asked.promise).toEqual(['POST', '/up?x=1', 'next', 'SPDY/3.1', 'portforward.k8s.io', undefined]);
  });
});

describe('the older WebSocket form', () => {
  it.each(['v4.channel.k8s.io', 'v4.base64.channel.k8s.io', ''])(
    'gotcha 87: names the port first on each channel of %j',
    async (protocol) => {
      await using world = await ForwardWorld.start({ dial: async () => Promise.reject(new Error('no')) });
      const session = await openChannels(await world.dial(), {
        path: '/?port=8080,9090',
        host: 'test',
        protocols: protocol === '' ? [] : [protocol],
        readable: [0, 1, 2, 3],
        writable: [0, 2],
      });
      const texts = await Promise.all([0, 1, 2, 3].map((channel) => readAll(session.channel(channel))));
      const failure = (port: number): string => `error forwarding port ${port} to pod sandbox-1, uid uid-1: no`;
      expect(texts.map((bytes) => bytes.subarray(0, 2).toString('hex'))).toEqual(['901f', '901f', '8223', '8223']);
      expect(texts.map((bytes) => bytes.subarray(2).toString())).toEqual(['', failure(8080), '', failure(9090)]);
      expect(await session.closed).toEqual({ kind: 'clean', by: 'remote' });
    },
  );

  it.each([
    ['channel.k8s.io', '/?port=80', 403],
    ['v4.channel.k8s.io', '/', 400],
    ['v4.channel.k8s.io', `/?port=${Array.from({ length: 128 }, () => '80').join(',')}`, 400],
  ])('refuses %s for %s', async (protocol, path, httpStatus) => {
    await using world = await ForwardWorld.start();
    await expect(openChannels(await world.dial(), { path, host: 'test', protocols: [protocol] })).rejects.toMatchObject(
      {
        httpStatus,
      },
    );
  });
});
