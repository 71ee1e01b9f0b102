import { describe, expect, it } from 'vitest';
import { deadlineAfter } from './deadline.ts';

describe('deadlineAfter', () => {
  it('stays below what a timer holds', () => {
    expect(deadlineAfter(Number.MAX_SAFE_INTEGER) - Date.now()).toBeLessThan(2 ** 31 - 1000);
    expect(deadlineAfter(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([-1, Number.NaN])('refuses %d ms', (timeoutMs) => {
    expect(() => deadlineAfter(timeoutMs)).toThrow(expect.objectContaining({ code: 'ERR_BAD_REQUEST' }));
  });
});
