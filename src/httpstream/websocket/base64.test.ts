import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Base64Decoder } from './base64.ts';

/** Decodes `text` cut at `places`; undefined when it is refused anywhere. */
function decode(text: string, places: readonly number[] = []): Buffer | undefined {
  const decoder = new Base64Decoder();
  const cuts = [0, ...places.map((place) => place % (text.length + 1)).sort((a, b) => a - b), text.length];
  const parts: Uint8Array[] = [];
  for (let i = 1; i < cuts.length; i += 1) {
    const part = decoder.push(Buffer.from(text.slice(cuts[i - 1], cuts[i])), i === cuts.length - 1);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

describe('Base64Decoder', () => {
  it('decodes what was encoded, cut anywhere', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.array(fc.nat(), { maxLength: 6 }), (bytes, places) => {
        expect(decode(Buffer.from(bytes).toString('base64'), places)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it('skips line ends, as Go does', () => {
    expect(decode('Zm9v\r\nCg=\n=\n')?.toString()).toBe('foo\n');
  });

  it.each(['Zm9vCg', 'Zm9vCg=', 'Zm9v!g==', 'Zm9v-_==', 'Z===', '====', 'Zg==Zg==', 'Zm9v '])('refuses %j', (text) => {
    expect(decode(text)).toBeUndefined();
    expect(decode(text, [1, 2, 3, 4, 5, 6])).toBeUndefined();
  });
});
