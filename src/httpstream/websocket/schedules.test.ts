import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SessionPair } from '../../../test/support/websocket-pair.ts';
import { STREAM_BUFFER_BYTES } from '../connection.ts';

/** Small, so that short schedules reach it. */
const READ_AHEAD = 32 * 1024;

/** One read of the connection in memory brings no more than one message. */
const ONE_READ = 33 * 1024;

const channels = [1, 2, 3] as const;

const step = fc.oneof(
  fc.record({
    do: fc.constant('write' as const),
    channel: fc.constantFrom(...channels),
    bytes: fc.nat({ max: 90_000 }),
  }),
  fc.record({
    do: fc.constant('read' as const),
    channel: fc.constantFrom(...channels),
    bytes: fc.nat({ max: 60_000 }),
  }),
  fc.record({ do: fc.constant('flow' as const), channel: fc.constantFrom(...channels) }),
  fc.record({ do: fc.constant('pause' as const), channel: fc.constantFrom(...channels) }),
  fc.record({ do: fc.constant('turn' as const) }),
);

/** What one channel was given and has given. */
class Ledger {
  readonly sent: Buffer[] = [];
  readonly got: Buffer[] = [];
  #next = 0;

  /** Bytes that go on where the last ones stopped, so that a lost or repeated one shows. */
  make(bytes: number): Buffer {
    const buffer = Buffer.alloc(bytes);
    for (let i = 0; i < bytes; i += 1) buffer[i] = this.#next++ % 251;
    this.sent.push(buffer);
    return buffer;
  }
}

describe('random schedules of slow readers', () => {
  it('lose nothing, repeat nothing and hold no more than the bound and one read of the socket', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
        await using pair = new SessionPair({ client: { readAheadBytes: READ_AHEAD } });
        const ledgers = new Map(channels.map((number) => [number, new Ledger()]));
        let mostHeld = 0;
        const look = (): void => {
          const held = channels.reduce((sum, number) => sum + pair.client.channel(number).heldBytes, 0);
          mostHeld = Math.max(mostHeld, held);
        };
        for (const action of steps) {
          if (action.do === 'turn') await setImmediate();
          else {
            const stream = pair.client.channel(action.channel);
            const ledger = ledgers.get(action.channel)!;
            if (action.do === 'write') pair.server.channel(action.channel).write(ledger.make(action.bytes));
            else if (action.do === 'pause') stream.pause();
            else if (action.do === 'flow') {
              if (stream.listenerCount('data') === 0) stream.on('data', (chunk: Buffer) => ledger.got.push(chunk));
              stream.resume();
            } else if (stream.listenerCount('data') === 0) {
              const chunk = stream.read(Math.min(action.bytes, stream.readableLength) || undefined) as Buffer | null;
              if (chunk !== null) ledger.got.push(chunk);
            }
          }
          look();
        }
        const closed = pair.server.close();
        for (const number of channels) {
          const stream = pair.client.channel(number);
          if (stream.listenerCount('data') === 0) {
            stream.on('data', (chunk: Buffer) => ledgers.get(number)!.got.push(chunk));
          }
          stream.resume();
        }
        await closed;
        await Promise.all(
          channels.map(async (number) => {
            const stream = pair.client.channel(number);
            if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
            const { sent, got } = ledgers.get(number)!;
            expect(Buffer.concat(got).equals(Buffer.concat(sent))).toBe(true);
          }),
        );
        expect(mostHeld).toBeLessThanOrEqual(STREAM_BUFFER_BYTES + READ_AHEAD + ONE_READ);
      }),
      { numRuns: 60 },
    );
  });
});
