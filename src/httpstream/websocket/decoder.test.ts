import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rawFrame } from '../../../test/support/raw-websocket.ts';
import { ProtocolError } from '../../common/errors.ts';
import { type DecoderOptions, FrameDecoder } from './decoder.ts';
import { closePayload, FrameEncoder } from './encoder.ts';
import { type FrameEvent, opcodes } from './frame.ts';

/** A message or control frame as a test writes it. */
type Sent =
  | { kind: 'data'; opcode: 1 | 2; bytes: Uint8Array }
  | { kind: 'ping' | 'pong'; payload: Uint8Array }
  | { kind: 'close'; code: number; text: string };

/** Decodes chunks and puts the pieces of messages together again. */
function decode(chunks: readonly Uint8Array[], options: DecoderOptions = { masked: false }): Sent[] {
  const decoder = new FrameDecoder(options);
  const sent: Sent[] = [];
  let pieces: Uint8Array[] = [];
  for (const chunk of chunks) {
    for (const event of decoder.push(Buffer.from(chunk))) {
      if (event.kind !== 'data') {
        sent.push(event);
        continue;
      }
      if (event.first) {
        expect(pieces).toEqual([]);
        pieces = [];
      }
      pieces.push(event.bytes.slice());
      if (!event.last) continue;
      sent.push({ kind: 'data', opcode: event.opcode, bytes: Uint8Array.from(Buffer.concat(pieces)) });
      pieces = [];
    }
  }
  return sent;
}

const decodeHex = (hex: string, options?: DecoderOptions): Sent[] =>
  decode([Buffer.from(hex.replaceAll(' ', ''), 'hex')], options);

const text = (value: string): Sent => ({ kind: 'data', opcode: 1, bytes: Uint8Array.from(Buffer.from(value)) });

/** Bytes that differ from place to place; drawing each at random would take long. */
function pattern(length: number, seed: number): Uint8Array {
  return new Uint8Array(length).map((_, index) => seed + index * 7 + (index >> 8));
}

/** Compares quickly and prints shortly. */
function written(messages: readonly Sent[]): unknown[] {
  return messages.map((sent) =>
    sent.kind === 'data' ? [sent.opcode, Buffer.from(sent.bytes).toString('latin1')] : sent,
  );
}

const arbitrarySent: fc.Arbitrary<Sent> = fc.oneof(
  fc.record({
    kind: fc.constant('data' as const),
    opcode: fc.constantFrom(1 as const, 2 as const),
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .tuple(fc.constantFrom(125, 126, 65_535, 65_536, 70_001), fc.nat({ max: 255 }))
        .map(([length, seed]) => pattern(length, seed)),
    ),
  }),
  fc.record({ kind: fc.constantFrom('ping' as const, 'pong' as const), payload: fc.uint8Array({ maxLength: 125 }) }),
);

/** Cuts `bytes` at random places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  return [...cuts, bytes.length].map((end, index) => bytes.subarray(index === 0 ? 0 : cuts[index - 1], end));
}

/** A message as frames: cut into fragments, with a control frame between any two of them. */
function fragmented(sent: Sent, key: Uint8Array | undefined, places: readonly number[], between: Sent[]): Buffer {
  if (sent.kind === 'close') return rawFrame(0x88, closePayload(sent.code, sent.text), key);
  if (sent.kind !== 'data') return rawFrame(sent.kind === 'ping' ? 0x89 : 0x8a, sent.payload, key);
  const fragments = cut(sent.bytes, places);
  return Buffer.concat(
    fragments.flatMap((bytes, index) => {
      const last = index === fragments.length - 1;
      const data = rawFrame((last ? 0x80 : 0) | (index === 0 ? sent.opcode : 0), bytes, key);
      return last ? [data] : [data, ...between.map((control) => fragmented(control, key, [], []))];
    }),
  );
}

describe('FrameDecoder', () => {
  it('reads the examples of RFC 6455, section 5.7', () => {
    expect(decodeHex('81 05 48656c6c6f')).toEqual([text('Hello')]);
    expect(decodeHex('81 85 37fa213d 7f9f4d5158', { masked: true })).toEqual([text('Hello')]);
    expect(decodeHex('01 03 48656c 80 02 6c6f')).toEqual([text('Hello')]);
    expect(decodeHex('89 05 48656c6c6f')).toEqual([{ kind: 'ping', payload: Uint8Array.from(Buffer.from('Hello')) }]);
  });

  it('gives the same messages for any fragmentation, control frames between, any mask and any chunking', () => {
    const control = fc.record({ kind: fc.constant('ping' as const), payload: fc.uint8Array({ maxLength: 5 }) });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(arbitrarySent, fc.array(fc.nat(), { maxLength: 4 }), fc.option(control)), { maxLength: 6 }),
        fc.option(fc.uint8Array({ minLength: 4, maxLength: 4 }), { nil: undefined }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (messages, key, chunkPlaces) => {
          const wire = Buffer.concat(
            messages.map(([sent, places, between]) => fragmented(sent, key, places, between === null ? [] : [between])),
          );
          const got = decode(cut(wire, chunkPlaces), { masked: key !== undefined });
          const expected = messages.flatMap(([sent, places, between]) => {
            const fragments = sent.kind === 'data' ? places.length : 0;
            return [...(between === null ? [] : Array.from({ length: fragments }, () => between)), sent];
          });
          expect(written(got)).toEqual(written(expected));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is the inverse of the encoder', () => {
    fc.assert(
      fc.property(fc.array(arbitrarySent, { maxLength: 5 }), fc.boolean(), (messages, masked) => {
        const encoder = new FrameEncoder({ masked });
        const wire = messages.flatMap((sent) => {
          if (sent.kind === 'data') return encoder.encode(sent.opcode, sent.bytes);
          if (sent.kind === 'close') return encoder.encode(opcodes.close, closePayload(sent.code, sent.text));
          return encoder.encode(sent.kind === 'ping' ? opcodes.ping : opcodes.pong, sent.payload);
        });
        expect(written(decode(wire, { masked }))).toEqual(written(messages));
      }),
      { numRuns: 60 },
    );
  });

  it('throws nothing but a ProtocolError on random bytes, and gives out no more than it was given', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), fc.boolean(), (chunks, masked) => {
        const decoder = new FrameDecoder({ masked, maxMessageBytes: 1000 });
        let out = 0;
        try {
          for (const chunk of chunks) {
            for (const event of decoder.push(chunk)) if (event.kind === 'data') out += event.bytes.length;
          }
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
        expect(out).toBeLessThanOrEqual(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
      }),
      { numRuns: 2000 },
    );
  });

  it('gives out a payload as it comes, without waiting for the rest of its frame', () => {
    const decoder = new FrameDecoder({ masked: false });
    const start = [...decoder.push(Buffer.from('827f0000000001000000', 'hex'))];
    const piece = [...decoder.push(Buffer.from('abc'))];
    expect(start).toEqual([]);
    expect(piece).toEqual([{ kind: 'data', opcode: 2, bytes: Buffer.from('abc'), first: true, last: false }]);
  });

  it('gives out an empty message, and an empty first fragment', () => {
    expect(decodeHex('82 00')).toEqual([{ kind: 'data', opcode: 2, bytes: new Uint8Array(0) }]);
    expect(decodeHex('02 00 80 01 41')).toEqual([{ kind: 'data', opcode: 2, bytes: Uint8Array.of(0x41) }]);
  });

  it('accepts lengths in a longer form than needed', () => {
    expect(decodeHex('81 7e 0002 6869')).toEqual([text('hi')]);
    expect(decodeHex('81 7f 0000000000000002 6869')).toEqual([text('hi')]);
  });

  it('reads a Close with nothing, with a code, with a code and a reason', () => {
    const closes: [hex: string, event: FrameEvent][] = [
      ['88 00', { kind: 'close', code: 1005, text: '' }],
      ['88 02 03e8', { kind: 'close', code: 1000, text: '' }],
      ['88 04 0fa1 c3a9', { kind: 'close', code: 4001, text: 'é' }],
    ];
    for (const [hex, event] of closes) expect(decodeHex(hex)).toEqual([event]);
  });

  it.each([
    ['c1 00', /reserved bits 0x40/],
    ['a1 00', /reserved bits 0x20/],
    ['91 00', /reserved bits 0x10/],
    ['83 00', /opcode 3 is reserved/],
    ['87 00', /opcode 7 is reserved/],
    ['8b 00', /opcode 11 is reserved/],
    ['8f 00', /opcode 15 is reserved/],
    ['80 00', /continues no message/],
    ['02 01 41 82 01 42', /new message starts inside/],
    ['82 01 41 80 01 42', /continues no message/],
    ['09 00', /opcode 9, is fragmented/],
    ['08 00', /opcode 8, is fragmented/],
    ['89 7e 007e', /opcode 9, has more than 125 bytes/],
    ['82 80 00000000', /a server sent a masked frame/],
    ['82 7f 8000000000000000', /highest bit of a 64-bit length/],
    ['88 01 03', /payload of 1 byte/],
    ['88 02 03e7', /close code 999 must not/],
    ['88 02 03ec', /close code 1004 must not/],
    ['88 02 03ed', /close code 1005 must not/],
    ['88 02 03ee', /close code 1006 must not/],
    ['88 02 03f7', /close code 1015 must not/],
    ['88 02 07d0', /close code 2000 must not/],
    ['88 02 1388', /close code 5000 must not/],
    ['88 03 03e8 ff', /not UTF-8/],
    ['88 05 03e8 edb080', /not UTF-8/],
  ])('refuses %s', (hex, message) => {
    const fails = (): unknown => decodeHex(hex);
    expect(fails).toThrow(ProtocolError);
    expect(fails).toThrow(
      expect.objectContaining({ code: 'ERR_WEBSOCKET_FRAME', message: expect.stringMatching(message) }),
    );
  });

  it('refuses a frame of a client without a mask', () => {
    expect(() => decodeHex('82 01 41', { masked: true })).toThrow(/a client sent a frame without a mask/);
  });

  it('refuses a message over the limit before giving out a byte of the frame that crosses it', () => {
    const limit = { masked: false, maxMessageBytes: 5 };
    expect(decodeHex('02 03 414141 80 02 4242', limit)).toHaveLength(1);
    expect(() => decodeHex('82 06', limit)).toThrow(
      expect.objectContaining({
        code: 'ERR_MESSAGE_TOO_LONG',
        message: 'a message of at least 6 bytes exceeds the limit of 5',
      }),
    );
    expect(() => decodeHex('02 03 414141 80 03', limit)).toThrow(/at least 6 bytes/);
    expect(() => decodeHex('82 7f 7fffffffffffffff')).toThrow(/exceeds the limit/);
  });
});
