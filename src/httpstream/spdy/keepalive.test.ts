import { once } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { duplexPair } from '../../../test/support/duplex-pair.ts';
import { SpdyPair, sessionAgainstRaw } from '../../../test/support/spdy-pair.ts';
import { deferred } from '../../common/deferred.ts';
import type { ExecPathError } from '../../common/errors.ts';
import { IdleTimer } from './idle-timer.ts';
import { Keepalive, type KeepaliveOptions, MAX_WAITING_PINGS } from './keepalive.ts';
import { SESSION_OVERRUN_BYTES } from './read-gate.ts';

/** A keepalive whose pings go into a list; `silence` settles when the deadline passes. */
function keepalive(options: Partial<KeepaliveOptions> = {}): {
  keepalive: Keepalive;
  pings: number[];
  silence: Promise<ExecPathError>;
} & Disposable {
  const pings: number[] = [];
  let lost: (error: ExecPathError) => void = () => {};
  const silence = new Promise<ExecPathError>((resolve) => (lost = resolve));
  const made = new Keepalive({
    role: 'client',
    intervalMs: 0,
    timeoutMs: 0,
    pingTimeoutMs: 1000,
    send: (id) => pings.push(id),
    isReading: () => true,
    isWritten: () => true,
    onSilence: lost,
    ...options,
  });
  return { keepalive: made, pings, silence, [Symbol.dispose]: () => made.stop(new Error('over') as ExecPathError) };
}

/** Whether `event` comes within some rounds of a timer of `everyMs`. */
async function comesWithin(event: Promise<unknown>, everyMs: number, rounds: number): Promise<boolean> {
  let came = false;
  void event.then(() => (came = true));
  const { promise, resolve } = deferred<void>();
  let left = rounds;
  const timer = setInterval(() => {
    left -= 1;
    if (came || left === 0) resolve();
  }, everyMs);
  await promise;
  clearInterval(timer);
  return came;
}

describe('pings', () => {
  it('have odd ids from a client, even ones from a server, growing by two', () => {
    using client = keepalive();
    using server = keepalive({ role: 'server' });
    for (const one of [client, server]) for (let count = 0; count < 3; count += 1) one.keepalive.probe();
    expect([client.pings, server.pings]).toEqual([
      [1, 3, 5],
      [2, 4, 6],
    ]);
  });

  it('settle by their echo, whatever the order', async () => {
    using one = keepalive();
    const [first, second] = [one.keepalive.ping(), one.keepalive.ping()];
    expect(one.keepalive.received(3)).toBe(false);
    await second;
    expect(one.keepalive.received(1)).toBe(false);
    expect(await first).toBeGreaterThanOrEqual(0);
    expect(one.keepalive.received(2)).toBe(true);
  });

  it('fail when no echo comes in time, when too many wait and when the connection is over', async () => {
    using one = keepalive({ pingTimeoutMs: 10 });
    await expect(one.keepalive.ping()).rejects.toMatchObject({ code: 'ERR_KEEPALIVE_TIMEOUT' });
    const waiting = Array.from({ length: MAX_WAITING_PINGS }, () => one.keepalive.ping());
    const outcomes = Promise.allSettled(waiting);
    await expect(one.keepalive.ping()).rejects.toThrow(/already wait/);
    one.keepalive.stop(new Error('over') as ExecPathError);
    expect((await outcomes).map((outcome) => outcome.status === 'rejected' && String(outcome.reason))).toEqual(
      waiting.map(() => 'Error: over'),
    );
    await expect(one.keepalive.ping()).rejects.toMatchObject({ code: 'ERR_CONNECTION_LOST' });
  });

  it('are sent by a client every pingIntervalMs and answered by a server', async () => {
    await using raw = sessionAgainstRaw({ role: 'client', pingIntervalMs: 5 });
    await raw.peer.frame('PING', ({ id }) => id === 5);
    expect(raw.peer.frames).toEqual([1, 3, 5].map((id) => ({ type: 'PING', id })));
  });
});

describe('silence', () => {
  it('of a peer that owes answers ends the connection', async () => {
    using one = keepalive({ intervalMs: 10, timeoutMs: 60 });
    expect(await one.silence).toMatchObject({ code: 'ERR_KEEPALIVE_TIMEOUT' });
  });

  it('is not counted from a peer that never pinged a server, and is once it has', async () => {
    using one = keepalive({ role: 'server', timeoutMs: 40 });
    expect(await comesWithin(one.silence, 20, 6)).toBe(false);
    one.keepalive.received(1);
    expect(await one.silence).toMatchObject({ code: 'ERR_KEEPALIVE_TIMEOUT' });
  });

  it.each(['isReading', 'isWritten'] as const)('is not counted while %s is false', async (blocked) => {
    let isFree = false;
    using one = keepalive({ intervalMs: 10, timeoutMs: 40, [blocked]: () => isFree });
    expect(await comesWithin(one.silence, 20, 6)).toBe(false);
    isFree = true;
    expect(await one.silence).toMatchObject({ code: 'ERR_KEEPALIVE_TIMEOUT' });
  });

  it('is not counted while the peer may be full of DATA, and is once an echo says that it has read it', async () => {
    using one = keepalive({ intervalMs: 10, timeoutMs: 40 });
    one.keepalive.sentData(10_000, 1);
    expect(await comesWithin(one.silence, 20, 6)).toBe(false);
    // Pings sent after the DATA; the first of them is remembered.
    one.keepalive.heard();
    one.keepalive.received(1);
    expect(await one.silence).toMatchObject({ code: 'ERR_KEEPALIVE_TIMEOUT' });
  });

  it('is counted after a few keystrokes, for no peer is full of those', async () => {
    using one = keepalive({ intervalMs: 10, timeoutMs: 40 });
    one.keepalive.sentData(1, 1);
    one.keepalive.sentData(1, 1);
    expect(await one.silence).toMatchObject({ code: 'ERR_KEEPALIVE_TIMEOUT' });
  });

  it('of a client counts on a server once its next ping says that it has read our DATA', async () => {
    using one = keepalive({ role: 'server', timeoutMs: 40 });
    one.keepalive.sentData(10_000, 1);
    one.keepalive.received(1);
    expect(await comesWithin(one.silence, 20, 6)).toBe(false);
    one.keepalive.received(3);
    expect(await one.silence).toMatchObject({ code: 'ERR_KEEPALIVE_TIMEOUT' });
  });

  it('ends a session as lost, and its streams with what had arrived', async () => {
    await using raw = sessionAgainstRaw({ role: 'client', pingIntervalMs: 10, keepaliveTimeoutMs: 60 });
    expect(await raw.session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_KEEPALIVE_TIMEOUT' } });
  });

  it('does not end a session whose peer answers', async () => {
    await using pair = new SpdyPair({
      client: { pingIntervalMs: 5, keepaliveTimeoutMs: 200 },
      server: { keepaliveTimeoutMs: 200 },
    });
    const ended = Promise.race([pair.client.closed, pair.server.closed]);
    expect(await comesWithin(ended, 40, 10)).toBe(false);
  });
});

it('a server that does not read notices that its client is gone, by probing', async () => {
  const [near, far] = duplexPair();
  await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => void one.accept() }, [near, far]);
  raw.peer.send(raw.peer.encode.synStream(1, {}), raw.peer.data(1, Buffer.alloc(SESSION_OVERRUN_BYTES * 2)));
  await once(near, 'pause');
  expect(await raw.peer.frame('PING')).toMatchObject({ id: 2 });
}, 15_000);

describe('an idle timer', () => {
  it('fires once nothing has touched it for its time', async () => {
    const begin = performance.now();
    const fired = new Promise<number>((resolve) => {
      const timer = new IdleTimer(40, () => resolve(performance.now() - begin));
      setTimeout(() => timer.touch(), 20);
    });
    expect(await fired).toBeGreaterThan(55);
  });

  it('never fires with 0, or once it is stopped', async () => {
    let fired = 0;
    const never = new IdleTimer(0, () => (fired += 1));
    new IdleTimer(10, () => (fired += 1)).stop();
    never.touch();
    await new Promise<void>((resolve) => new IdleTimer(30, resolve));
    expect(fired).toBe(0);
  });
});

it('finds silence although each look at it falls on a ping that is just being written', async () => {
  vi.useFakeTimers();
  try {
    let isWritten = true;
    const send = (): void => {
      isWritten = false;
      setImmediate(() => (isWritten = true));
    };
    using one = keepalive({ intervalMs: 500, timeoutMs: 2000, send, isWritten: () => isWritten });
    await vi.advanceTimersByTimeAsync(3000);
    expect((await one.silence).code).toBe('ERR_KEEPALIVE_TIMEOUT');
  } finally {
    vi.useRealTimers();
  }
});
