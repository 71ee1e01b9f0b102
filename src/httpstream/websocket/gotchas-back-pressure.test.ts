import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { RawWebSocket } from '../../../test/support/raw-websocket.ts';
import { readAll } from '../../../test/support/read-all.ts';
import {
  clientSession,
  SessionPair,
  serverAgainstRaw,
  serverSession,
  tcpPair,
} from '../../../test/support/websocket-pair.ts';
import { STREAM_BUFFER_BYTES } from '../connection.ts';
import { READ_AHEAD_BYTES } from './session.ts';

const MIB = 1024 * 1024;
const status = '{"metadata":{},"status":"Success"}';

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
