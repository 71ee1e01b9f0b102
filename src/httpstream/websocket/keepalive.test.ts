import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../../test/support/duplex-pair.ts';
import { RawWebSocket } from '../../../test/support/raw-websocket.ts';
import { clientSession, SessionPair, serverSession } from '../../../test/support/websocket-pair.ts';
import { Deadline } from './deadline.ts';

const lostBySilence = { kind: 'lost', error: { code: 'ERR_KEEPALIVE_TIMEOUT' } };

/** How long a test looks at something that must not happen: three times the limit it would have broken. */
const LIMIT_MS = 60;
const quiet = (): Promise<'alive'> => delay(3 * LIMIT_MS, 'alive' as const);

const question = 'podwire: do you wait for my Close?';
const announcement = 'podwire: I wait for your Close';

describe('keepalive of a client', () => {
  it('sends PINGs into silence and counts a server that answers none as lost', async () => {
    const [near, far] = duplexPair();
    const session = clientSession(near, { pingIntervalMs: 10, keepaliveTimeoutMs: LIMIT_MS });
    const peer = new RawWebSocket(far, 'server');
    expect(await peer.next()).toMatchObject({ opcode: 9, masked: true, payload: Buffer.from(question) });
    expect(await session.closed).toMatchObject(lostBySilence);
    expect((await peer.nextOf(8)).payload.readUInt16BE(0)).toBe(1001);
  });

  it('is content with any byte: data counts like a PONG', async () => {
    const [near, far] = duplexPair();
    const session = clientSession(near, { pingIntervalMs: 10, keepaliveTimeoutMs: LIMIT_MS });
    const peer = new RawWebSocket(far, 'server');
    const output = setInterval(() => peer.send('\x01x'), 10);
    session.channel(1).resume();
    expect(await Promise.race([session.closed, quiet()])).toBe('alive');
    clearInterval(output);
    session.destroy();
  });

  it('gotcha 51: sends no PING while data comes or lies unread, for the server may have closed behind it', async () => {
    const [near, far] = duplexPair();
    const session = clientSession(near, { pingIntervalMs: 20, readAheadBytes: 0 });
    const peer = new RawWebSocket(far, 'server');
    const output = setInterval(() => peer.send('\x01x'), 4);
    await quiet();
    clearInterval(output);
    peer.send(Buffer.alloc(200 * 1024, 1));
    await quiet();
    expect(peer.frames).toEqual([]);
    session.channel(1).resume();
    expect((await peer.next()).opcode).toBe(9);
    session.destroy();
  });

  it('pings a server that waits for its Close at any time', async () => {
    const [near, far] = duplexPair();
    const session = clientSession(near, { pingIntervalMs: 10 });
    const peer = new RawWebSocket(far, 'server');
    expect((await peer.next()).payload.toString()).toBe(question);
    peer.send(announcement, 0x8a);
    const output = setInterval(() => peer.send('\x01x'), 2);
    for (let i = 0; i < 3; i += 1) await peer.nextOf(9);
    expect(await peer.nextOf(9)).toMatchObject({ payload: Buffer.alloc(0) });
    clearInterval(output);
    session.destroy();
  });

  it('lives on with a server of ours that has nothing to say', async () => {
    await using pair = new SessionPair({
      client: { pingIntervalMs: 10, keepaliveTimeoutMs: LIMIT_MS },
      server: { keepaliveTimeoutMs: LIMIT_MS },
    });
    expect(await Promise.race([pair.client.closed, pair.server.closed, quiet()])).toBe('alive');
  });

  it.each([
    { pingIntervalMs: 0, keepaliveTimeoutMs: LIMIT_MS },
    { pingIntervalMs: 10, keepaliveTimeoutMs: 0 },
  ])('never counts silence with %j', async (options) => {
    const [near, far] = duplexPair();
    const session = clientSession(near, options);
    const peer = new RawWebSocket(far, 'server');
    expect(await Promise.race([session.closed, quiet()])).toBe('alive');
    expect(peer.frames.length > 0).toBe(options.pingIntervalMs > 0);
    session.destroy();
  });
});

describe('keepalive of a server', () => {
  it.each([
    [0, 'alive'],
    [1, 'alive'],
    [2, lostBySilence],
    [3, lostBySilence],
  ])('judges a client that fell silent after %i PINGs', async (pings, outcome) => {
    const [near, far] = duplexPair();
    const session = serverSession(far, { keepaliveTimeoutMs: LIMIT_MS });
    const peer = new RawWebSocket(near, 'client');
    for (let i = 0; i < pings; i += 1) peer.send('', 0x89);
    const first = await Promise.race([session.closed, quiet()]);
    if (outcome === 'alive') expect(first).toBe('alive');
    else expect(first).toMatchObject(lostBySilence);
    session.destroy();
  });

  it('answers each PING with its payload', async () => {
    const [near, far] = duplexPair();
    const session = serverSession(far);
    const peer = new RawWebSocket(near, 'client');
    for (const payload of ['', 'a', 'x'.repeat(125)]) {
      peer.send(payload, 0x89);
      expect(await peer.next()).toMatchObject({ opcode: 10, masked: false, payload: Buffer.from(payload) });
    }
    session.destroy();
  });

  it('tells a client of ours once that it waits for its Close', async () => {
    const [near, far] = duplexPair();
    const session = serverSession(far);
    const peer = new RawWebSocket(near, 'client');
    for (let i = 0; i < 2; i += 1) peer.send(question, 0x89);
    peer.send('last', 0x89);
    const pongs: string[] = [];
    while (pongs.at(-1) !== 'last') pongs.push((await peer.next()).payload.toString());
    expect(pongs).toEqual([question, announcement, question, 'last']);
    session.destroy();
  });

  it('keeps the latest PING alone while its peer takes nothing', async () => {
    const [near, far] = duplexPair();
    const session = serverSession(far);
    session.channel(1).write(Buffer.alloc(1024 * 1024));
    const pings = Array.from({ length: 1000 }, (_, index) => index);
    // Nobody reads at `near` yet: the server's writes are blocked when the PINGs arrive.
    const peer = await new Promise<RawWebSocket>((resolve) => {
      setImmediate(() => {
        const raw = new RawWebSocket(near, 'client');
        near.pause();
        for (const index of pings) raw.send(String(index), 0x89);
        setTimeout(() => resolve(raw), 20);
      });
    });
    near.resume();
    const pong = await peer.nextOf(10);
    expect(pong.payload.toString()).toBe('999');
    session.destroy();
  });
});

describe('Deadline', () => {
  it('fires once, after the last touch', async () => {
    const started = performance.now();
    let fired = 0;
    await new Promise<void>((resolve) => {
      const deadline = new Deadline(30, () => {
        fired += 1;
        resolve();
      });
      deadline.start();
      setTimeout(() => deadline.touch(), 15);
    });
    expect(performance.now() - started).toBeGreaterThanOrEqual(44);
    await delay(50);
    expect(fired).toBe(1);
  });

  it('does not fire while held, when stopped, or with 0', async () => {
    let fired = 0;
    const make = (ms: number): Deadline => new Deadline(ms, () => (fired += 1));
    const held = make(10);
    const stopped = make(10);
    const off = make(0);
    for (const deadline of [held, stopped, off]) deadline.start();
    held.hold(true);
    stopped.stop();
    await delay(40);
    expect(fired).toBe(0);
    held.hold(false);
    await delay(40);
    expect(fired).toBe(1);
  });
});
