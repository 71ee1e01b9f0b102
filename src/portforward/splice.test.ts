import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../test/support/duplex-pair.ts';
import { readAll } from '../../test/support/read-all.ts';
import { SpdyPair } from '../../test/support/spdy-pair.ts';
import { type SpliceEnd, splice } from './splice.ts';

interface Spliced {
  /** The far ends: what a client and a target hold. */
  readonly client: Duplex;
  readonly target: Duplex;
  readonly end: Promise<SpliceEnd>;
}

/** A client over SPDY and a target, joined. */
async function joined(pair: SpdyPair, quietMs?: number): Promise<Spliced> {
  const [client, accepted] = await pair.open();
  const [dialed, target] = duplexPair();
  target.on('error', () => {});
  return { client, target, end: splice(accepted, dialed, quietMs === undefined ? {} : { quietMs }) };
}

describe('a splice', () => {
  it('loses nothing and repeats nothing, whatever the pieces and the pauses', async () => {
    const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40_000 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(pieces, pieces, fc.array(fc.boolean()), async (up, down, pauses) => {
        await using pair = new SpdyPair();
        const { client, target, end } = await joined(pair);
        const send = async (stream: Duplex, chunks: readonly Uint8Array[]): Promise<void> => {
          for (const [index, chunk] of chunks.entries()) {
            if (!stream.write(chunk)) await once(stream, 'drain');
            if (pauses[index] === true) await nextTurn();
          }
          stream.end();
        };
        const [atTarget, atClient] = await Promise.all([
          readAll(target),
          readAll(client),
          send(client, up),
          send(target, down),
        ]);
        expect(atTarget.equals(Buffer.concat(up))).toBe(true);
        expect(atClient.equals(Buffer.concat(down))).toBe(true);
        expect(await end).toEqual({ cut: undefined });
      }),
      { numRuns: 30 },
    );
  });

  it('tells a client that was reset from one that has ended', async () => {
    await using pair = new SpdyPair();
    const { client, target, end } = await joined(pair);
    client.write('half');
    await once(target, 'data');
    client.destroy();
    expect(await end).toEqual({ cut: 'client' });
    if (!target.closed) await once(target, 'close');
  });

  it('tells a client whose connection was lost from one that has ended', async () => {
    await using pair = new SpdyPair();
    const { client, target, end } = await joined(pair);
    client.write('half');
    await once(target, 'data');
    pair.client.destroy();
    expect(await end).toEqual({ cut: 'client' });
  });

  it('tells a target that was cut', async () => {
    await using pair = new SpdyPair();
    const [, accepted] = await pair.open();
    const [dialed] = duplexPair();
    const end = splice(accepted, dialed);
    const error = new Error('read ECONNRESET');
    dialed.destroy(error);
    expect(await end).toEqual({ cut: 'target', error });
  });

  it('gives a client that is silent after the target’s end no longer than its limit', async () => {
    await using pair = new SpdyPair();
    const { client, target, end } = await joined(pair, 20);
    target.resume().end('bye');
    expect((await readAll(client)).toString()).toBe('bye');
    expect(await end).toEqual({ cut: undefined });
    if (!target.closed) await once(target, 'close');
  });

  it('has no limit for a target that goes on after the client’s end', async () => {
    await using pair = new SpdyPair();
    const { client, target, end } = await joined(pair, 1);
    client.end('question');
    expect((await readAll(target)).toString()).toBe('question');
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    target.end('late answer');
    expect((await readAll(client)).toString()).toBe('late answer');
    expect(await end).toEqual({ cut: undefined });
  });
});
