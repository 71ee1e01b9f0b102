import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuantity, quantityNanos } from './quantity.ts';

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

describe('quantityNanos', () => {
  const NANO = 10n ** 9n;

  it.each<[string | number, bigint]>([
    ['0', 0n],
    ['100m', NANO / 10n],
    ['0.1', NANO / 10n],
    ['.5Ki', 512n * NANO],
    ['9007199254740993', 9_007_199_254_740_993n * NANO],
    ['9E', 9n * 10n ** 18n * NANO],
    ['8Ei', 2n ** 63n * NANO],
    ['1e3', 1000n * NANO],
    ['1E3', 1000n * NANO],
    ['1e-9', 1n],
    // Less than a billionth counts as one.
    ['1e-10', 1n],
    ['0.1n', 1n],
    ['-1500m', (-3n * NANO) / 2n],
    [1e21, 10n ** 21n * NANO],
  ])('reads %j exactly', (text, nanos) => {
    expect(quantityNanos(text)).toBe(nanos);
  });

  it.each(['', '.', 'x', '1K', '1 Mi', 'Mi', '1.2.3', '1Kib', '1e3Ki'])('knows that %j is none', (text) => {
    expect(quantityNanos(text)).toBeUndefined();
  });

  it('has a bound, whatever is written', () => {
    const most = quantityNanos('1e100');
    for (const text of ['1e306', '1e999999999999', `1${'0'.repeat(100_000)}`]) {
      expect(quantityNanos(text), text.slice(0, 20)).toBeGreaterThanOrEqual(10n ** 100n);
      expect(quantityNanos(text), text.slice(0, 20)).toBeLessThan((most ?? 0n) * 10n ** 200n);
    }
    expect(quantityNanos('1e-999999999999')).toBe(1n);
  });

  it('agrees with parseQuantity', () => {
    const units = fc.constantFrom('n', 'u', 'm', '', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi');
    fc.assert(
      fc.property(fc.nat({ max: 10_000_000 }), units, (amount, unit) => {
        const text = `${amount}${unit}`;
        expect(Number(quantityNanos(text))).toBeCloseTo(parseQuantity(text) * 1e9, -6);
      }),
    );
  });
});
