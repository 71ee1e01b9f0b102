import { expect, it } from 'vitest';
import { MAX_REVIEWS, ReviewCache } from './review-cache.ts';

function counted(answer: boolean): { ask: () => Promise<boolean>; asked: () => number } {
  let count = 0;
  return {
    ask: () => {
      count += 1;
      return Promise.resolve(answer);
    },
    asked: () => count,
  };
}

it('keeps a yes and a no for their own times', async () => {
  let now = 0;
  const cache = new ReviewCache<boolean>(
    (answer) => (answer ? 300 : 30),
    () => now,
  );
  const [yes, no] = [counted(true), counted(false)];
  for (const at of [0, 29, 30, 299, 300]) {
    now = at;
    expect(await cache.get('yes', yes.ask)).toBe(true);
    expect(await cache.get('no', no.ask)).toBe(false);
  }
  expect(yes.asked()).toBe(2);
  expect(no.asked()).toBe(3);
});

it('asks once for questions that come at once', async () => {
  const { ask, asked } = counted(true);
  const cache = new ReviewCache<boolean>(() => 0);
  expect(await Promise.all([cache.get('q', ask), cache.get('q', ask)])).toEqual([true, true]);
  expect(asked()).toBe(1);
  await cache.get('q', ask);
  expect(asked()).toBe(2);
});

it('keeps no failure', async () => {
  const cache = new ReviewCache<boolean>(() => 1000);
  await expect(cache.get('q', () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  expect(await cache.get('q', counted(true).ask)).toBe(true);
});

it(`holds ${MAX_REVIEWS} answers and lets the oldest go`, async () => {
  const cache = new ReviewCache<boolean>(() => 1000);
  const first = counted(true);
  for (let index = 0; index <= MAX_REVIEWS; index += 1) await cache.get(`q${index}`, first.ask);
  const before = first.asked();
  await cache.get('q1', first.ask);
  expect(first.asked()).toBe(before);
  await cache.get('q0', first.ask);
  expect(first.asked()).toBe(before + 1);
});
