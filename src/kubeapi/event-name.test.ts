import { afterEach, expect, it, vi } from 'vitest';
import { eventName } from './event-name.ts';

afterEach(() => {
  vi.useRealTimers();
});

it('names events by their object and the time in nanoseconds', () => {
  const before = Date.now();
  const [, hex = ''] = /^web\.([0-9a-f]{16})$/.exec(eventName('web')) ?? [];
  const milliseconds = Number(BigInt(`0x${hex}`) / 1_000_000n);
  expect(milliseconds).toBeGreaterThanOrEqual(before);
  expect(milliseconds).toBeLessThanOrEqual(Date.now());
});

it('gives no name twice, and orders names by time, also when the clock stands still or goes back', () => {
  const names = Array.from({ length: 1000 }, () => eventName('web'));
  vi.useFakeTimers({ now: Date.now() });
  names.push(...Array.from({ length: 1000 }, () => eventName('web')));
  vi.setSystemTime(Date.now() - 60_000);
  names.push(eventName('web'));
  expect([...names].sort()).toEqual(names);
  expect(new Set(names).size).toBe(names.length);
});
