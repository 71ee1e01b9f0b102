import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../../test/support/duplex-pair.ts';
import { readAll } from '../../../test/support/read-all.ts';
import { RawSpdyPeer, SpdyPair, sessionAgainstRaw } from '../../../test/support/spdy-pair.ts';
import { tcpPair } from '../../../test/support/websocket-pair.ts';
import { STREAM_BUFFER_BYTES } from '../connection.ts';
import { lingerAndDestroy } from '../linger.ts';
import { REPLY_BACKLOG_BYTES, SESSION_OVERRUN_BYTES } from './read-gate.ts';
import { SpdySession } from './session.ts';
import type { SpdyStream } from './stream.ts';

/** What the two ends of a pair in memory may hold between them, and one read of a socket. */
const IN_TRANSIT_BYTES = 256 * 1024;

/** Counts the bytes that `socket` takes from its session's point of view: what was really read. */
function countReads(socket: Duplex): () => number {
  let bytes = 0;
  const push = socket.push.bind(socket);
  socket.push = (chunk: Buffer | null) => {
    bytes += chunk?.length ?? 0;
    return push(chunk);
  };
  return () => bytes;
}

/** What `node --expose-gc` gives, without the flag. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** Some turns of the event loop: enough for what needs no further event. */
async function settle(turns = 10): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Writes `frame` again and again until a write is not taken, or `limit` bytes are. */
async function writeUntilStuck(peer: RawSpdyPeer, frame: Uint8Array, limit: number): Promise<number> {
  let written = 0;
  while (written < limit && peer.socket.writableLength === 0) {
    peer.socket.write(frame);
    written += frame.length;
    await settle();
  }
  return written;
}

describe('a reader that does not read', () => {
  it('stops the socket at its bound plus the session’s, and loses nothing', async () => {
    const [near, far] = duplexPair();
    const taken = countReads(near);
    const streams: SpdyStream[] = [];
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => streams.push(one.accept()) }, [near, far]);
    raw.peer.send(raw.peer.encode.synStream(1, {}));
    await raw.peer.frame('SYN_REPLY');
    const frame = raw.peer.data(1, Buffer.alloc(16 * 1024 - 8, 7));
    const written = await writeUntilStuck(raw.peer, frame, 8 * 1024 * 1024);
    expect(written).toBeLessThan(STREAM_BUFFER_BYTES + SESSION_OVERRUN_BYTES + IN_TRANSIT_BYTES);
    expect(taken()).toBeGreaterThan(SESSION_OVERRUN_BYTES);
    expect(taken()).toBeLessThan(STREAM_BUFFER_BYTES + SESSION_OVERRUN_BYTES + IN_TRANSIT_BYTES);
    raw.peer.send(raw.peer.data(1, '', true));
    const frames = written / frame.length;
    expect((await readAll(streams[0]!)).length).toBe(frames * (frame.length - 8));
  });

  it('gotcha 20: does not keep pings from being answered until the session’s allowance is used up', async () => {
    const streams: SpdyStream[] = [];
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => streams.push(one.accept()) });
    raw.peer.send(raw.peer.encode.synStream(1, {}), raw.peer.data(1, Buffer.alloc(SESSION_OVERRUN_BYTES / 2)));
    raw.peer.send(raw.peer.encode.ping(1));
    expect(await raw.peer.frame('PING')).toEqual({ type: 'PING', id: 1 });
    // 5 MiB are more than anybody can hold without flow control: the ping behind them waits for the reader.
    raw.peer.send(raw.peer.data(1, Buffer.alloc(5 * 1024 * 1024)), raw.peer.encode.ping(3));
    const reading = once(streams[0]!.resume(), 'end');
    expect(await raw.peer.frame('PING', ({ id }) => id === 3)).toBeTruthy();
    raw.peer.send(raw.peer.data(1, '', true));
    await reading;
  });

  it('gotcha 84: does not stop 199 other streams within that allowance', async () => {
    await using pair = new SpdyPair();
    const opened = await Promise.all(Array.from({ length: 200 }, () => pair.open()));
    const [[stalled], ...others] = opened as [[SpdyStream, SpdyStream], ...[SpdyStream, SpdyStream][]];
    stalled.end(Buffer.alloc(SESSION_OVERRUN_BYTES / 2));
    const echoes = others.map(async ([near, far], index) => {
      far.pipe(far);
      near.end(`echo ${index}`.repeat(100));
      return (await readAll(near)).toString() === `echo ${index}`.repeat(100);
    });
    expect(await Promise.all(echoes)).toEqual(others.map(() => true));
  });

  it.each([
    ['has never asked', false],
    ['has asked and looked', true],
  ])('costs memory by its bytes, not by the chunks that they came in, when it %s', async (_what, hasAsked) => {
    const streams: SpdyStream[] = [];
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => streams.push(one.accept()) });
    raw.peer.send(raw.peer.encode.synStream(1, {}));
    await raw.peer.frame('SYN_REPLY');
    if (hasAsked) streams[0]!.on('readable', () => {});
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    // 600 × 1 byte of DATA, each in a chunk of 64 KiB that is otherwise skipped: 38 MiB if the chunks were kept.
    for (let count = 0; count < 600; count += 1) {
      const chunk = Buffer.alloc(64 * 1024);
      Buffer.concat([raw.peer.data(1, 'x'), Buffer.from('80030004 00 00ffef'.replaceAll(' ', ''), 'hex')]).copy(chunk);
      await new Promise((resolve) => raw.peer.socket.write(chunk, resolve));
    }
    raw.peer.send(raw.peer.encode.ping(1));
    await raw.peer.frame('PING');
    collectGarbage();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    raw.peer.send(raw.peer.data(1, '', true));
    streams[0]!.removeAllListeners('readable');
    expect((await readAll(streams[0]!.resume())).length).toBe(600);
  });

  it('loses nothing under any schedule of readers, writers and chunk sizes', { timeout: 60_000 }, async () => {
    const plan = fc.array(
      fc.record({
        size: fc.integer({ min: 1, max: 200_000 }),
        pauses: fc.integer({ min: 0, max: 4 }),
        small: fc.boolean(),
      }),
      { minLength: 1, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(plan, async (streams) => {
        await using pair = new SpdyPair();
        const results = streams.map(async ({ size, pauses, small }, index) => {
          const [near, far] = await pair.open();
          const payload = Buffer.alloc(size, index + 1);
          if (small) for (let at = 0; at < size; at += 997) near.write(payload.subarray(at, at + 997));
          else near.write(payload);
          near.end();
          let got = 0;
          let left = pauses;
          far.on('data', (chunk: Buffer) => {
            got += chunk.every((byte) => byte === index + 1) ? chunk.length : Number.NaN;
            if (left === 0) return;
            left -= 1;
            far.pause();
            setImmediate(() => setImmediate(() => far.resume()));
          });
          await once(far, 'end');
          return got;
        });
        expect(await Promise.all(results)).toEqual(streams.map(({ size }) => size));
      }),
      { numRuns: 25 },
    );
  });
});

describe('a peer that does not read', () => {
  it('stops its own pings from being read, instead of filling memory with echoes', async () => {
    const [near, far] = duplexPair();
    const taken = countReads(near);
    const session = new SpdySession(near, { role: 'server' });
    const ping = Buffer.concat(
      Array.from({ length: 1000 }, (_, index) =>
        Buffer.from(`8003000600000004${(index * 2 + 1).toString(16).padStart(8, '0')}`, 'hex'),
      ),
    );
    for (let count = 0; count < 100; count += 1) far.write(ping);
    await settle(500);
    expect(taken()).toBeGreaterThan(ping.length);
    expect(taken()).toBeLessThan(REPLY_BACKLOG_BYTES + IN_TRANSIT_BYTES);
    const peer = new RawSpdyPeer(far);
    await peer.frame('PING', () => peer.frames.length === 100_000);
    session.destroy();
    await session.closed;
  });

  it('stops the writer of a stream', async () => {
    const [near, far] = duplexPair();
    const session = new SpdySession(near, { role: 'client' });
    const opening = session.openStream({});
    await once(far, 'data');
    far.pause();
    far.write(new RawSpdyPeer(duplexPair()[0]).encode.synReply(1));
    const stream = await opening;
    expect(stream.write(Buffer.alloc(STREAM_BUFFER_BYTES))).toBe(false);
    expect(stream.writableLength).toBe(STREAM_BUFFER_BYTES);
    session.destroy();
    await session.closed;
  });
});

describe('closing over TCP', () => {
  /** Fits into the kernel's buffers of one loopback connection, not into the receiver's alone. */
  const BYTES = 1024 * 1024;

  it('gotcha 29: delivers every byte to a slow reader that pings meanwhile', async () => {
    const [client, server] = await tcpPair();
    await using session = new SpdySession(server, {
      role: 'server',
      onStream: (one) => one.accept().end(Buffer.alloc(BYTES, 9)),
    });
    client.pause();
    const { encode } = new RawSpdyPeer(duplexPair()[0]);
    client.write(encode.synStream(1, {}));
    while (session.streamCount === 0) await settle(1);
    const finished = once(server, 'finish');
    const closing = session.close();
    // The kernel has taken the end; the client has read nothing and talks on.
    await finished;
    for (let count = 0; count < 10; count += 1) client.write(encode.ping(1));
    await settle(100);
    const peer = new RawSpdyPeer(client);
    client.on('data', () => {
      client.write(encode.ping(1));
      client.pause();
      setImmediate(() => client.resume());
    });
    client.resume();
    const bytes = await peer.dataOf(1, (_bytes, fin) => fin);
    expect(bytes.length).toBe(BYTES);
    await peer.frame('GOAWAY');
    await peer.ended();
    client.end();
    await closing;
    expect(await session.closed).toEqual({ kind: 'clean', by: 'local' });
  });

  it('cuts off a peer that takes nothing, and says that it was lost', async () => {
    const [near, far] = duplexPair();
    far.pause();
    near.write(Buffer.alloc(100_000));
    expect(await lingerAndDestroy(near, { quietMs: 20 })).toBe(false);
    expect(near.destroyed).toBe(true);
  });

  it('cuts off a peer that never closes its side', async () => {
    const [near] = duplexPair();
    expect(await lingerAndDestroy(near, { quietMs: 20 })).toBe(true);
    expect(near.destroyed).toBe(true);
  });

  it('cuts off a peer that keeps talking for ever', async () => {
    const [near, far] = duplexPair();
    const talking = setInterval(() => far.write('x'), 2);
    expect(await lingerAndDestroy(near, { quietMs: 1000, maxMs: 50 })).toBe(true);
    clearInterval(talking);
  });
});
