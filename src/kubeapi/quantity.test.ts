import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuantity } from './quantity.ts';

describe('parseQuantity', () => {
  it.each([
    ['0', 0],
    ['500m', 0.5],
    ['1', 1],
    [2, 2],
    ['1.5', 1.5],
    ['.5Gi', 2 ** 29],
    ['1Ki', 1024],
    ['128Mi', 128 * 2 ** 20],
    ['1k', 1000],
    ['1e3', 1000],
    ['1E', 1e18],
    ['1Ei', 2 ** 60],
    ['+1', 1],
    ['-1', -1],
  ])('reads %j as %d', (text, value) => {
    expect(parseQuantity(text)).toBeCloseTo(value, 9);
  });

  it.each(['', 'x', '1K', '1 Mi', '1mi', 'Mi', '1.2.3', '1Kib', 'toString', '1constructor'])('refuses %j', (text) => {
    expect(() => parseQuantity(text, 'limits.cpu')).toThrow(`limits.cpu ${JSON.stringify(text)} is not a quantity`);
  });

  it('reads thousandths as the same number that the decimal point writes', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), (amount) => {
        expect(parseQuantity(`${amount}m`)).toBe(parseQuantity((amount / 1000).toFixed(3)));
      }),
    );
  });

  it('agrees with arithmetic for whole numbers of every unit', () => {
    const units = { '': 1, k: 1e3, M: 1e6, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 };
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(...Object.entries(units)), (amount, [unit, factor]) => {
        expect(parseQuantity(`${amount}${unit}`)).toBe(amount * factor);
      }),
    );
  });
});
