import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyMask } from './mask.ts';

/** The rule as RFC 6455, section 5.3 states it. */
function naiveMask(bytes: Uint8Array, key: Uint8Array, phase: number): Uint8Array {
  return bytes.map((byte, index) => byte ^ key[(index + phase) % 4]!);
}

describe('applyMask', () => {
  it('masks the "Hello" of RFC 6455, section 5.7', () => {
    const bytes = Buffer.from('Hello');
    applyMask(bytes, Uint8Array.of(0x37, 0xfa, 0x21, 0x3d), 0);
    expect(bytes.toString('hex')).toBe('7f9f4d5158');
  });

  it('equals the byte-by-byte rule for any length, alignment and phase', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.nat({ max: 7 }),
        fc.nat({ max: 1_000_003 }),
        (bytes, key, lead, phase) => {
          const memory = new Uint8Array(lead + bytes.length + 5).fill(0xaa);
          memory.set(bytes, lead);
          applyMask(memory.subarray(lead, lead + bytes.length), key, phase);
          expect(memory.subarray(lead, lead + bytes.length)).toEqual(naiveMask(bytes, key, phase));
          expect([...memory.subarray(0, lead), ...memory.subarray(lead + bytes.length)]).toEqual(
            Array.from({ length: lead + 5 }, () => 0xaa),
          );
        },
      ),
    );
  });
});
