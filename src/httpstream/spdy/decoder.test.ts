import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hexFixture } from '../../../test/support/spdy-pair.ts';
import { FrameDecoder } from './decoder.ts';
import { FrameEncoder } from './encoder.ts';
import { type Frame, frameTypes } from './frame.ts';

/** Frames with the pieces of each DATA frame joined, so that chunking does not show. */
function joined(frames: Iterable<Frame>): unknown[] {
  const all: unknown[] = [];
  const open = new Map<number, Buffer>();
  for (const frame of frames) {
    if (frame.type !== 'DATA')
      all.push('headers' in frame ? { ...frame, headers: Object.fromEntries(frame.headers) } : frame);
    else {
      const bytes = Buffer.concat([open.get(frame.streamId) ?? Buffer.alloc(0), frame.bytes]);
      open.set(frame.streamId, bytes);
      all.push({ streamId: frame.streamId, fin: frame.fin, upTo: bytes.length });
    }
  }
  const ends = all.filter((entry, index) => {
    const next = all[index + 1];
    const isPiece = isData(entry) && isData(next) && next.streamId === entry.streamId && !entry.fin;
    return !isPiece;
  });
  return [...ends, ...open.entries()];
}

function isData(entry: unknown): entry is { streamId: number; fin: boolean; upTo: number } {
  return typeof entry === 'object' && entry !== null && 'upTo' in entry;
}

function decode(chunks: Iterable<Uint8Array>): Frame[] {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (const chunk of chunks) frames.push(...decoder.push(chunk));
  return frames;
}

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');

describe('the frames of appendix A', () => {
  const clientBytes = hexFixture('client-frames.hex');
  const plainBytes = hexFixture('plain-frames.hex');

  it('decode to what the appendix says', () => {
    expect(joined(decode(clientBytes))).toEqual([
      { type: 'SYN_STREAM', streamId: 1, fin: false, headers: { streamtype: 'error' } },
      { type: 'SYN_STREAM', streamId: 3, fin: false, headers: { streamtype: 'stdin' } },
      { type: 'SYN_STREAM', streamId: 5, fin: false, headers: { streamtype: 'stdout' } },
      { type: 'SYN_STREAM', streamId: 7, fin: false, headers: { streamtype: 'error', port: '8080', requestid: '0' } },
    ]);
    expect(joined(decode(hexFixture('server-frames.hex')))).toEqual(
      [1, 3, 5].map((streamId) => ({ type: 'SYN_REPLY', streamId, fin: false, headers: {} })),
    );
    expect(decode(plainBytes).map((frame) => (frame.type === 'DATA' ? frame.bytes.length : frame))).toEqual([
      3,
      0,
      34,
      { type: 'RST_STREAM', streamId: 3, status: 5 },
      { type: 'PING', id: 1 },
      { type: 'GOAWAY', lastGoodStreamId: 5, status: 0 },
      { type: 'SETTINGS' },
      { type: 'WINDOW_UPDATE' },
    ]);
  });

  it('gotcha 1: decode the same one byte at a time', () => {
    const all = Buffer.concat([...clientBytes, ...plainBytes]);
    expect(joined(decode([...all].map((byte) => Uint8Array.of(byte))))).toEqual(joined(decode([all])));
  });

  it('gotcha 2: decode the same in one buffer', () => {
    const frames = [...clientBytes, ...plainBytes];
    expect(joined(decode([Buffer.concat(frames)]))).toEqual(joined(decode(frames)));
  });

  it('are made byte for byte where no compression is involved', () => {
    const encode = new FrameEncoder();
    const [hi, fin, , reset, ping, goAway] = plainBytes;
    expect(Buffer.concat([encode.dataHead(3, 3), Buffer.from('hi\n')])).toEqual(hi);
    expect(encode.dataHead(3, 0, true)).toEqual(fin);
    expect(encode.rstStream(3, 5)).toEqual(reset);
    expect(encode.ping(1)).toEqual(ping);
    expect(encode.goAway(5, 0)).toEqual(goAway);
  });
});

describe('the decoder', () => {
  it('gives a DATA payload in slices as they come, FIN with the last', () => {
    const decoder = new FrameDecoder();
    const sizes: [number, boolean][] = [];
    const feed = (bytes: Uint8Array): void => {
      for (const frame of decoder.push(bytes)) if (frame.type === 'DATA') sizes.push([frame.bytes.length, frame.fin]);
    };
    feed(hex('00000001 01 ffffff'));
    expect(sizes).toEqual([]);
    feed(Buffer.alloc(1000));
    feed(Buffer.alloc(0xff_ffff - 1001));
    expect(sizes).toEqual([
      [1000, false],
      [0xff_ffff - 1001, false],
    ]);
    expect(decoder.idle).toBe(false);
    feed(Buffer.alloc(1));
    expect(sizes.at(-1)).toEqual([1, true]);
    expect(decoder.idle).toBe(true);
  });

  it('gives views of what it was fed, not copies', () => {
    const chunk = hex('00000001 00 000004 01020304');
    const [frame] = new FrameDecoder().push(chunk);
    expect(frame).toMatchObject({ type: 'DATA' });
    expect(frame?.type === 'DATA' && frame.bytes.buffer === chunk.buffer).toBe(true);
  });

  it.each([
    ['RST_STREAM', '8003 0003 00 00000c 00000003 00000005 deadbeef'],
    ['PING', '8003 0006 00 000009 00000001 0102030405'],
    ['SETTINGS', '8003 0004 00 00000c 00000001 01000004 00000064'],
  ])('gotcha 18: skips extra bytes of %s and stays in step', (type, bytes) => {
    const frames = decode([...hex(`${bytes} 8003 0006 00 000004 00000007`)].map((byte) => Uint8Array.of(byte)));
    expect(frames).toEqual([expect.objectContaining({ type }), { type: 'PING', id: 7 }]);
  });

  it.each([
    ['5 (NOOP)', '8003 0005 00 000000'],
    ['10 (CREDENTIAL)', '8003 000a 00 000004 00000000'],
    ['11', '8003 000b 00 000000'],
  ])('gotcha 16: refuses the unknown type %s', (_type, bytes) => {
    expect(() => decode([hex(bytes)])).toThrow(/unknown type/);
  });

  it.each([
    ['a DATA frame for stream 0', '00000000 00 000000', /stream 0/],
    ['a SYN_STREAM for stream 0', '8003 0001 00 00000a 00000000 00000000 0000', /stream 0/],
    ['an RST_STREAM for stream 0', '8003 0003 00 000008 00000000 00000005', /stream 0/],
    ['an RST_STREAM with status 0', '8003 0003 00 000008 00000001 00000000', /status 0/],
    ['a PING with id 0', '8003 0006 00 000004 00000000', /id 0/],
    ['a PING with flags', '8003 0006 01 000004 00000001', /flags 1/],
    ['a GOAWAY with flags', '8003 0007 01 000008 00000001 00000000', /flags 1/],
    ['a GOAWAY that is too long', '8003 0007 00 00000c 00000001 00000000 00000000', /length 12, not 8/],
    ['an RST_STREAM that is too short', '8003 0003 00 000004 00000001', /length 4, not 8/],
    ['a SYN_STREAM that is too short', '8003 0001 00 000009 00000001 00000000 00', /length 9, not 10/],
    ['a SYN_REPLY without its block', '8003 0002 00 000004 00000001', /ends inside a count/],
    ['version 2', '8002 0006 00 000004 00000001', /version 2/],
  ])('refuses %s', (_what, bytes, message) => {
    expect(() => decode([hex(bytes)])).toThrow(message);
  });

  it('gives what the encoder was given, whatever the chunks', () => {
    const id = fc.integer({ min: 1, max: 0x7fff_ffff });
    const headers = fc.dictionary(fc.stringMatching(/^x[a-z]{0,8}$/), fc.stringMatching(/^[ -~]{0,80}$/), {
      maxKeys: 5,
    });
    const frame = fc.oneof(
      fc.record({ type: fc.constant('SYN_STREAM' as const), id, headers }),
      fc.record({ type: fc.constant('SYN_REPLY' as const), id }),
      fc.record({ type: fc.constant('RST_STREAM' as const), id, status: fc.integer({ min: 1, max: 11 }) }),
      fc.record({ type: fc.constant('PING' as const), id }),
      fc.record({
        type: fc.constant('DATA' as const),
        id,
        bytes: fc.uint8Array({ maxLength: 300 }),
        fin: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 50 })), (sent, cuts) => {
        const encode = new FrameEncoder();
        const bytes = Buffer.concat(
          sent.flatMap((one) => {
            switch (one.type) {
              case 'SYN_STREAM':
                return [encode.synStream(one.id, one.headers)];
              case 'SYN_REPLY':
                return [encode.synReply(one.id)];
              case 'RST_STREAM':
                return [encode.rstStream(one.id, one.status)];
              case 'PING':
                return [encode.ping(one.id)];
              case 'DATA':
                return [encode.dataHead(one.id, one.bytes.length, one.fin), one.bytes];
            }
          }),
        );
        const pieces: Uint8Array[] = [];
        let at = 0;
        for (const cut of cuts) {
          pieces.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        pieces.push(bytes.subarray(at));
        const decoder = new FrameDecoder();
        const got: unknown[] = [];
        let payload: Uint8Array[] = [];
        for (const piece of pieces) {
          for (const one of decoder.push(piece)) {
            if (one.type !== 'DATA')
              got.push('headers' in one ? { ...one, headers: Object.fromEntries(one.headers) } : one);
            else payload.push(one.bytes);
            const expected = sent[got.length];
            const isWhole = expected?.type === 'DATA' && Buffer.concat(payload).length === expected.bytes.length;
            if (one.type === 'DATA' && isWhole) {
              got.push({ streamId: one.streamId, fin: one.fin, bytes: Buffer.concat(payload).toString('hex') });
              payload = [];
            }
          }
        }
        const wanted = sent.map((one) => {
          switch (one.type) {
            case 'SYN_STREAM':
              return { type: one.type, streamId: one.id, fin: false, headers: { ...one.headers } };
            case 'SYN_REPLY':
              return { type: one.type, streamId: one.id, fin: false, headers: {} };
            case 'RST_STREAM':
              return { type: one.type, streamId: one.id, status: one.status };
            case 'PING':
              return { type: one.type, id: one.id };
            case 'DATA':
              return { streamId: one.id, fin: one.fin, bytes: Buffer.from(one.bytes).toString('hex') };
          }
        });
        expect(got).toEqual(wanted);
        expect(decoder.idle).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('raises nothing but ProtocolError on random bytes, and holds nothing', () => {
    const head = fc.constantFrom(...Object.values(frameTypes)).map((type) => hex(`8003 000${type} 00 0000`));
    const noise = fc.array(fc.oneof(fc.uint8Array({ maxLength: 100 }), head), { maxLength: 20 });
    fc.assert(
      fc.property(noise, (chunks) => {
        try {
          decode(chunks);
        } catch (error) {
          expect(error).toMatchObject({ name: 'ProtocolError' });
        }
      }),
      { numRuns: 500 },
    );
  });
});

it('gotcha 17: the encoder has no way to make HEADERS, SETTINGS or WINDOW_UPDATE', () => {
  const made = Object.getOwnPropertyNames(FrameEncoder.prototype).sort();
  expect(made).toEqual(['constructor', 'dataHead', 'goAway', 'ping', 'rstStream', 'synReply', 'synStream']);
});
