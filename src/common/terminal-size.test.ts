import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from './errors.ts';
import { encodeTerminalSize, TerminalSizeDecoder } from './terminal-size.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('the resize stream', () => {
  it('gives back every size, however its bytes are cut', () => {
    const size = fc.record({ width: fc.nat(65_535), height: fc.nat(65_535) });
    fc.assert(
      fc.property(fc.array(size), fc.infiniteStream(fc.integer({ min: 1, max: 9 })), (sizes, cuts) => {
        const all = bytes(sizes.map(encodeTerminalSize).join(''));
        const decoder = new TerminalSizeDecoder();
        const got = [];
        for (let at = 0; at < all.length; ) {
          const step = cuts.next().value;
          got.push(...decoder.push(all.subarray(at, at + step)));
          at += step;
        }
        expect(got).toEqual(sizes);
      }),
    );
  });

  // wire.md 8, gotcha 75
  it.each([
    [
      'packed objects',
      '{"Width":1,"Height":2}{"Width":3,"Height":4}',
      [
        { width: 1, height: 2 },
        { width: 3, height: 4 },
      ],
    ],
    ['keys in any case and strange ones', '{"wIDTH":5,"x":"}","HEIGHT":6}', [{ width: 5, height: 6 }]],
    ['a missing key', '{"Width":7}', [{ width: 7, height: 0 }]],
    ['0×0', '{"Width":0,"Height":0}\n', [{ width: 0, height: 0 }]],
  ])('gotcha 75: reads %s', (_title, text, sizes) => {
    expect(new TerminalSizeDecoder().push(bytes(text))).toEqual(sizes);
  });

  it.each([
    ['70000', '{"Width":70000,"Height":1}'],
    ['a negative number', '{"Width":-1}'],
    ['a fraction', '{"Width":1.5}'],
    ['an array', '[1,2]'],
    ['broken JSON', '{"Width":}'],
    ['an object without an end', '{"'.padEnd(10_000, 'x')],
  ])('gotcha 75: %s ends resizes, once, and only resizes', (_title, text) => {
    const decoder = new TerminalSizeDecoder();
    expect(() => decoder.push(bytes(text))).toThrow(ProtocolError);
    expect(decoder.push(bytes('{"Width":1,"Height":1}'))).toEqual([]);
  });
});
