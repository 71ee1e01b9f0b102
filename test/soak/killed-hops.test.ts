import { expect, it } from 'vitest';
import { playKilledHops, roundSeeds } from '../e2e/faults/fault-rounds.ts';
import { Progress, roundCount } from './progress.ts';

/** Rounds between two notes of the progress. */
const BATCH = 20;

it('tells the truth through 200 killed and stopped hops', async () => {
  const rounds = roundCount(200);
  const progress = Progress.open('killed-hops');
  while (progress.done < rounds) {
    const count = Math.min(BATCH, rounds - progress.done);
    expect(await playKilledHops(roundSeeds(progress.seed, progress.done, count))).toEqual([]);
    progress.advance(count);
    console.log(`killed hops: ${progress.done} of ${rounds} rounds`);
  }
  progress.finish();
});
