import { expect, it } from 'vitest';
import { seededRandom } from './seed.ts';

it('gives the same numbers for the same seed, and others for another', () => {
  const take = (seed: number): number[] => {
    const random = seededRandom(seed);
    return Array.from({ length: 100 }, () => random.between(1, 6));
  };
  expect(take(1)).toEqual(take(1));
  expect(take(1)).not.toEqual(take(2));
  expect(new Set(take(1))).toEqual(new Set([1, 2, 3, 4, 5, 6]));
});

it('gives every byte value', () => {
  expect(new Set(seededRandom(7).bytes(10_000)).size).toBe(256);
});
