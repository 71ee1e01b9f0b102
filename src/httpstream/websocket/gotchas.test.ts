import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../../test/support/duplex-pair.ts';
import { RawWebSocket, rawFrame } from '../../../test/support/raw-websocket.ts';
import { readAll } from '../../../test/support/read-all.ts';
import { clientSession, SessionPair, serverSession, tcpPair } from '../../../test/support/websocket-pair.ts';
import { subprotocols } from '../../common/subprotocols.ts';
import { STREAM_BUFFER_BYTES } from '../connection.ts';
import { type ChannelSession, READ_AHEAD_BYTES } from './session.ts';

const MIB = 1024 * 1024;
const status = '{"metadata":{},"status":"Success"}';
const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

type ServerOptions = Parameters<typeof serverSession>[1];

/** A server's session against a client that a test plays, frame by frame. */
function serverAgainstRaw(options: ServerOptions = {}): { session: ChannelSession; peer: RawWebSocket } {
  const [near, far] = duplexPair();
  return { session: serverSession(far, options), peer: new RawWebSocket(near, 'client') };
}

function clientAgainstRaw(protocol: string = subprotocols.v5): { session: ChannelSession; peer: RawWebSocket } {
  const [near, far] = duplexPair();
  return { session: clientSession(near, { protocol }), peer: new RawWebSocket(far, 'server') };
}

/** Waits until `count` stays the same while everything that can run runs. */
async function settled(count: () => number): Promise<number> {
  let seen = count();
  for (let calm = 0; calm < 20; calm += 1) {
    await setImmediate();
    if (count() !== seen) calm = 0;
    seen = count();
  }
  return seen;
}

/** `bytes` of output in pieces of 32 KiB, and how much of it has been asked for. */
function flood(bytes: number): { source: Readable; made: () => number } {
  let made = 0;
  const piece = Buffer.alloc(32 * 1024, 'x');
  const source = new Readable({
    highWaterMark: piece.length,
    read() {
      if (made === bytes) this.push(null);
      else {
        made += piece.length;
        this.push(piece);
      }
    },
  });
  return { source, made: () => made };
}

describe('the gotchas of wire.md, section 8: messages', () => {
  it('gotcha 40: stdin EOF over v5 leaves the output open', async () => {
    await using pair = new SessionPair();
    const cat = pipeline(pair.server.channel(0), pair.server.channel(1));
    const output = readAll(pair.client.channel(1));
    pair.client.channel(0).end('hi\n');
    await cat;
    await pair.server.close();
    expect((await output).toString()).toBe('hi\n');
  });

  it('gotcha 41: in v4 [255, 0] is ignored, stdin goes on', async () => {
    const { session, peer } = serverAgainstRaw({ protocol: subprotocols.v4 });
    peer.send(Buffer.of(255, 0));
    peer.send('\0still typing');
    const [chunk] = (await once(session.channel(0), 'data')) as [Buffer];
    expect(chunk.toString()).toBe('still typing');
    expect(session.channel(0).readableEnded).toBe(false);
    session.destroy();
  });

  it.each([[[255]], [[255, 0, 0]], [[255, 9]]])(
    'gotcha 42: the malformed CLOSE %j ends the connection',
    async (bytes) => {
      const { session, peer } = serverAgainstRaw();
      peer.send(Buffer.from(bytes));
      expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_CHANNEL' } });
      expect((await peer.nextOf(8)).payload.readUInt16BE(0)).toBe(1002);
      await peer.ended;
    },
  );

  it('gotcha 43: a second CLOSE and data after CLOSE are ignored', async () => {
    const { session, peer } = serverAgainstRaw();
    const stdin = readAll(session.channel(0));
    for (const message of ['\0all', '\xff\0', '\xff\0', '\0too late', '\x04{}']) {
      peer.send(Buffer.from(message, 'latin1'));
    }
    const [resize] = (await once(session.channel(4), 'data')) as [Buffer];
    expect(resize.toString()).toBe('{}');
    expect((await stdin).toString()).toBe('all');
    session.destroy();
  });

  it('gotcha 44: a message without a byte is ignored, by server and client', async () => {
    const { session, peer } = serverAgainstRaw();
    peer.send('');
    peer.send('\0x');
    expect(await once(session.channel(0), 'data')).toEqual([Buffer.from('x')]);
    session.destroy();
    const ours = clientAgainstRaw();
    ours.peer.send('');
    ours.peer.send('\x01y');
    expect(await once(ours.session.channel(1), 'data')).toEqual([Buffer.from('y')]);
    ours.session.destroy();
  });

  it('gotcha 45: no empty message and no text message is ever sent on a binary protocol', async () => {
    const step = fc.record({ channel: fc.constantFrom(1, 2, 3), bytes: fc.constantFrom(0, 0, 1, 2, 40_000) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const { session, peer } = serverAgainstRaw();
        for (const { channel, bytes } of steps) session.channel(channel).write(Buffer.alloc(bytes, 'x'));
        const closed = session.close();
        await peer.nextOf(8);
        peer.sendClose(1000);
        await closed;
        const messages = peer.frames.slice(0, -1);
        expect(messages.every(({ opcode, payload, fin }) => opcode === 2 && payload.length >= 2 && fin)).toBe(true);
        const sent = messages.reduce((sum, { payload }) => sum + payload.length - 1, 0);
        expect(sent).toBe(steps.reduce((sum, { bytes }) => sum + bytes, 0));
      }),
      { numRuns: 30 },
    );
  });

  it('gotcha 46: the first, empty message is neither output nor EOF', async () => {
    const { session, peer } = clientAgainstRaw();
    const output = readAll(session.channel(1));
    peer.send('\x01');
    peer.send('\x01hi');
    peer.sendClose(1000);
    expect((await output).toString()).toBe('hi');
  });

  it('gotcha 47: 1 MiB of stdin leaves in unfragmented, masked frames of at most 32 KiB and the channel', async () => {
    const { session, peer } = clientAgainstRaw();
    const stdin = randomBytes(MIB);
    session.channel(0).end(stdin);
    const payloads: Buffer[] = [];
    for (let frame = await peer.next(); frame.payload[0] !== 255; frame = await peer.next()) {
      expect(frame).toMatchObject({ fin: true, opcode: 2, masked: true });
      expect(frame.payload.length).toBeLessThanOrEqual(32 * 1024 + 1);
      payloads.push(frame.payload.subarray(1));
    }
    expect(hash(Buffer.concat(payloads))).toBe(hash(stdin));
    session.destroy();
  });

  it('gotcha 48: a message in fragments of one byte, with PINGs between, is one message', async () => {
    for (const { session, peer, channel } of [
      { ...serverAgainstRaw(), channel: 0 },
      { ...clientAgainstRaw(), channel: 1 },
    ]) {
      const text = 'fragmented';
      const bytes = Buffer.from([channel, ...Buffer.from(text)]);
      bytes.forEach((byte, index) => {
        peer.send(Buffer.of(byte), (index === bytes.length - 1 ? 0x80 : 0) | (index === 0 ? 2 : 0));
        if (index < bytes.length - 1) peer.send(String(index), 0x89);
      });
      let got = '';
      for await (const chunk of session.channel(channel)) {
        got += String(chunk);
        if (got.length >= text.length) break;
      }
      expect(got).toBe(text);
      expect(peer.frames.filter(({ opcode }) => opcode === 10).map(({ payload }) => payload.toString())).toEqual(
        Array.from({ length: bytes.length - 1 }, (_, index) => String(index)),
      );
      session.destroy();
    }
  });

  it('gotcha 49: a message of 33 MiB ends the connection before any of it is stored', async () => {
    const { session, peer } = serverAgainstRaw();
    const head = Buffer.from('82ff0000000002100000aabbccdd', 'hex');
    peer.socket.write(head);
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_MESSAGE_TOO_LONG' } });
    expect((await peer.nextOf(8)).payload.readUInt16BE(0)).toBe(1009);
    expect(session.channel(0).heldBytes).toBe(0);
  });

  it.each(['v1', 'v1Base64', 'v4', 'v4Base64', 'v5'] as const)(
    'gotcha 56: %s carries every byte value',
    async (name) => {
      await using pair = new SessionPair({ protocol: subprotocols[name] });
      const bytes = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, index) => index)), randomBytes(MIB)]);
      const stdout = readAll(pair.client.channel(1));
      const stdin: Buffer[] = [];
      const allStdin = new Promise<void>((resolve) => {
        pair.server.channel(0).on('data', (chunk: Buffer) => {
          stdin.push(chunk);
          if (stdin.reduce((sum, { length }) => sum + length, 0) === bytes.length) resolve();
        });
      });
      pair.client.channel(0).write(bytes);
      pair.server.channel(1).end(bytes);
      await allStdin;
      await pair.server.close();
      expect(hash(Buffer.concat(stdin))).toBe(hash(bytes));
      expect(hash(await stdout)).toBe(hash(bytes));
    },
  );

  it('gotcha 60: base64 protocols are text both ways', async () => {
    const { session, peer } = serverAgainstRaw({ protocol: subprotocols.v4Base64 });
    session.greet(1);
    peer.send('0Zm9vCg==', 0x81);
    const [chunk] = (await once(session.channel(0), 'data')) as [Buffer];
    expect(chunk.toString()).toBe('foo\n');
    session.channel(1).write('\n');
    for (const text of ['1', '1Cg==']) {
      expect(await peer.next()).toMatchObject({ opcode: 1, payload: Buffer.from(text) });
    }
    session.destroy();
  });
});

describe('the gotchas of wire.md, section 8: endings', () => {
  it('gotcha 50: a server ends with an explicit 1000', async () => {
    const { session, peer } = serverAgainstRaw();
    session.channel(3).write(status);
    const closed = session.close();
    expect((await peer.next()).payload.toString()).toBe(`\x03${status}`);
    expect(await peer.next()).toMatchObject({ opcode: 8, payload: Buffer.of(0x03, 0xe8) });
    peer.sendClose(1000);
    await closed;
  });

  it.each([1005, 1006])('gotcha 50: %i after the Status is lost, and the Status can be read', async (code) => {
    const { session, peer } = clientAgainstRaw();
    peer.send(`\x03${status}`);
    if (code === 1005) peer.sendClose();
    else peer.socket.end();
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_CONNECTION_LOST' } });
    const chunks: Buffer[] = [];
    session.channel(3).on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => session.channel(3).on('close', resolve));
    expect(Buffer.concat(chunks).toString()).toBe(status);
  });

  it('gotcha 51: PINGs of a client that reads late do not cost it the tail', async () => {
    const [near, far] = await tcpPair();
    const session = serverSession(far, { closeLingerMs: 100 });
    near.pause();
    session.channel(1).write(Buffer.alloc(2 * MIB, 'x'));
    const closed = session.close();
    for (let beat = 0; beat < 20; beat += 1) {
      near.write(rawFrame(0x89, '', Buffer.alloc(4)));
      await delay(20);
    }
    const peer = new RawWebSocket(near, 'client');
    near.resume();
    const close = await peer.nextOf(8);
    expect(close.payload.readUInt16BE(0)).toBe(1000);
    expect(peer.frames.reduce((sum, { opcode, payload }) => sum + (opcode === 2 ? payload.length - 1 : 0), 0)).toBe(
      2 * MIB,
    );
    peer.sendClose(1000);
    await closed;
    expect(await session.closed).toEqual({ kind: 'clean', by: 'local' });
    near.destroy();
  });

  it('gotcha 78: a client that vanishes is noticed although stdin is blocked and not read', async () => {
    const [near, far] = await tcpPair();
    const session = serverSession(far, { heartbeatIntervalMs: 20, readAheadBytes: 0 });
    near.on('error', () => {});
    const frame = rawFrame(0x82, Buffer.alloc(32 * 1024), Buffer.alloc(4));
    for (let i = 0; i < 32; i += 1) near.write(frame);
    await new Promise((resolve) => near.write(frame, resolve));
    near.destroy();
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_CONNECTION_LOST' } });
  });
});

describe('the gotchas of wire.md, section 8: back-pressure and time', () => {
  it('gotcha 52: PONGs go on while 10 MiB of stdin wait for a process that never reads', async () => {
    const [near, far] = await tcpPair();
    const session = serverSession(far, { heartbeatIntervalMs: 20 });
    const peer = new RawWebSocket(near, 'client');
    const stdin = Buffer.alloc(32 * 1024, 'x');
    for (let i = 0; i < 320; i += 1) peer.send(Buffer.concat([Buffer.of(0), stdin]));
    peer.send('behind the data', 0x89);
    // The PING cannot be seen, yet PONGs come, one after the other.
    for (let i = 0; i < 5; i += 1) expect((await peer.nextOf(10)).payload).toHaveLength(0);
    const bound = STREAM_BUFFER_BYTES + READ_AHEAD_BYTES;
    expect(session.channel(0).heldBytes).toBeGreaterThan(bound);
    expect(session.channel(0).heldBytes).toBeLessThan(bound + 128 * 1024);
    let read = 0;
    session.channel(0).on('data', (chunk: Buffer) => {
      read += chunk.length;
    });
    for (;;) {
      const { payload } = await peer.nextOf(10);
      if (payload.length > 0) {
        expect(payload.toString()).toBe('behind the data');
        break;
      }
    }
    expect(read).toBe(320 * stdin.length);
    session.destroy();
  });

  it('gotcha 52: a client whose writes are blocked does not count the silence of its server', async () => {
    const [near, far] = await tcpPair();
    const session = clientSession(near, { pingIntervalMs: 10, keepaliveTimeoutMs: 100 });
    far.pause();
    session.channel(0).write(Buffer.alloc(64 * MIB));
    const first = await Promise.race([session.closed, delay(400, 'alive')]);
    expect(first).toBe('alive');
    session.destroy();
    far.destroy();
  });

  it('gotcha 53: a client whose own reader stalls does not take that for a lost server', async () => {
    await using pair = new SessionPair({
      sockets: await tcpPair(),
      client: { pingIntervalMs: 10, keepaliveTimeoutMs: 100, readAheadBytes: 0 },
      server: { keepaliveTimeoutMs: 100 },
    });
    const output = Buffer.alloc(16 * MIB, 'x');
    pair.server.channel(1).write(output);
    const closed = pair.server.close();
    const first = await Promise.race([pair.client.closed, pair.server.closed, delay(400, 'alive')]);
    expect(first).toBe('alive');
    expect((await readAll(pair.client.channel(1))).length).toBe(output.length);
    await closed;
    expect(await pair.client.closed).toEqual({ kind: 'clean', by: 'remote' });
  });

  it('gotcha 54: a reader that stalls stops the producer within the named bounds', async () => {
    await using pair = new SessionPair();
    const { source, made } = flood(32 * MIB);
    const sent = pipeline(source, pair.server.channel(1));
    const stalledAt = await settled(made);
    // The client's bound, the server's two buffers, and what is on the way.
    expect(stalledAt).toBeLessThan(STREAM_BUFFER_BYTES + READ_AHEAD_BYTES + 256 * 1024 + 256 * 1024);
    expect(stalledAt).toBeGreaterThan(READ_AHEAD_BYTES);
    const output = readAll(pair.client.channel(1));
    await sent;
    await pair.server.close();
    expect((await output).length).toBe(32 * MIB);
  });

  it('gotcha 55: an unread stdout stalls stderr at the bound, and nothing is stuck once it is read', async () => {
    await using pair = new SessionPair();
    const stdout = flood(4 * MIB);
    const stderr = flood(4 * MIB);
    const sent = Promise.all([
      pipeline(stdout.source, pair.server.channel(1)),
      pipeline(stderr.source, pair.server.channel(2)),
    ]);
    const gotStderr = readAll(pair.client.channel(2));
    expect(await settled(stderr.made)).toBeLessThan(4 * MIB);
    const gotStdout = readAll(pair.client.channel(1));
    await sent;
    pair.server.channel(3).end(status);
    const gotStatus = readAll(pair.client.channel(3));
    await pair.server.close();
    expect((await gotStdout).length).toBe(4 * MIB);
    expect((await gotStderr).length).toBe(4 * MIB);
    expect((await gotStatus).toString()).toBe(status);
  });

  it('gotcha 88: PINGs do not count as activity, data does', async () => {
    const { session, peer } = serverAgainstRaw({ idleTimeoutMs: 120 });
    const started = performance.now();
    const pings = setInterval(() => peer.send('', 0x89), 10);
    setTimeout(() => peer.send('\x04{}'), 60);
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_IDLE_TIMEOUT' } });
    clearInterval(pings);
    expect(performance.now() - started).toBeGreaterThan(170);
    expect((await peer.nextOf(8)).payload.readUInt16BE(0)).toBe(1001);
  });
});
