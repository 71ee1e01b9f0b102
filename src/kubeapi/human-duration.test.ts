import { describe, expect, it } from 'vitest';
import { ageOf, humanDuration } from './human-duration.ts';

const MINUTE = 60_000;

describe('humanDuration', () => {
  const HOUR = 60 * MINUTE;
  const DAY = 24 * HOUR;
  it.each([
    [-5000, '<invalid>'],
    [-1000, '0s'],
    [0, '0s'],
    [119_999, '119s'],
    [2 * MINUTE, '2m'],
    [3 * MINUTE + 20_000, '3m20s'],
    [10 * MINUTE + 59_000, '10m'],
    [179 * MINUTE, '179m'],
    [3 * HOUR, '3h'],
    [7 * HOUR + 59 * MINUTE, '7h59m'],
    [8 * HOUR + 59 * MINUTE, '8h'],
    [47 * HOUR, '47h'],
    [2 * DAY, '2d'],
    [7 * DAY + 23 * HOUR, '7d23h'],
    [8 * DAY + 23 * HOUR, '8d'],
    [729 * DAY, '729d'],
    [730 * DAY, '2y'],
    [(7 * 365 + 364) * DAY, '7y364d'],
    [8 * 365 * DAY, '8y'],
  ])('says %i ms as %s', (ms, text) => {
    expect(humanDuration(ms)).toBe(text);
  });
});

describe('ageOf', () => {
  it('counts from a timestamp, and says when there is none', () => {
    const now = new Date('2026-01-02T00:00:00Z');
    expect(ageOf('2026-01-01T23:55:00Z', now)).toBe('5m');
    expect([ageOf(null, now), ageOf(undefined, now), ageOf('soon', now)]).toEqual(Array(3).fill('<unknown>'));
  });
});
