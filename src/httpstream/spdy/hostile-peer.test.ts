import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { sessionAgainstRaw } from '../../../test/support/spdy-pair.ts';
import { FrameEncoder } from './encoder.ts';

const id = fc.integer({ min: 1, max: 9 });

/** One thing that a peer may send, in its place or out of it. */
const act = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('syn' as const), id }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('reply' as const), id }) },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant('data' as const), id, length: fc.nat(3000), fin: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('reset' as const), id }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('ping' as const), id }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('goAway' as const), id: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('noise' as const), bytes: fc.uint8Array({ maxLength: 40 }) }) },
);

function bytesOf(encode: FrameEncoder, one: typeof act extends fc.Arbitrary<infer Act> ? Act : never): Uint8Array {
  switch (one.type) {
    case 'syn':
      return encode.synStream(one.id, { streamtype: 'data' });
    case 'reply':
      return encode.synReply(one.id);
    case 'data':
      return Buffer.concat([encode.dataHead(one.id, one.length, one.fin), Buffer.alloc(one.length)]);
    case 'reset':
      return encode.rstStream(one.id, 5);
    case 'ping':
      return encode.ping(one.id);
    case 'goAway':
      return encode.goAway(0, one.id);
    case 'noise':
      return one.bytes;
  }
}

it.each(['client', 'server'] as const)(
  'a %s ends in one known way, with nothing left and nothing thrown, whatever the peer sends',
  async (role) => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 40 }), fc.nat(2), async (acts, answer) => {
        await using raw = sessionAgainstRaw({
          role,
          onStream: (incoming) => {
            if (answer === 0) incoming.reject();
            else incoming.accept().end('hello');
          },
        });
        const opening = role === 'client' ? [1, 3, 5].map(() => raw.session.openStream({ a: 'b' })) : [];
        const opened = Promise.allSettled(opening);
        const encode = new FrameEncoder();
        for (const one of acts) raw.peer.socket.write(bytesOf(encode, one));
        raw.peer.socket.end();
        const reason = await raw.session.closed;
        const code = reason.kind === 'lost' ? reason.error.code : `clean by ${reason.by}`;
        expect(['ERR_CONNECTION_LOST', 'ERR_FRAME', 'ERR_HEADER_BLOCK', 'clean by remote']).toContain(code);
        expect(raw.session.streamCount).toBe(0);
        for (const outcome of await opened) {
          if (outcome.status === 'rejected') expect(outcome.reason).toHaveProperty('code');
        }
      }),
      { numRuns: 150 },
    );
  },
);
