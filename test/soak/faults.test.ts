import { expect, it } from 'vitest';
import { playFaults, roundSeeds } from '../e2e/faults/fault-rounds.ts';
import { expectNothingLeft, holdings } from '../support/leaks.ts';
import { Progress, roundCount } from './progress.ts';

/** Rounds between two notes of the progress, and between two looks for leaks. */
const BATCH = 50;

it('tells the truth through 1,000 broken sessions', async () => {
  const rounds = roundCount(1_000);
  const progress = Progress.open('faults');
  const [warmUp = 0] = roundSeeds(0, 0, 1);
  expect(await playFaults([warmUp])).toEqual([]);
  const before = holdings(process.pid);
  while (progress.done < rounds) {
    const count = Math.min(BATCH, rounds - progress.done);
    const wrong = await playFaults(roundSeeds(progress.seed, progress.done, count));
    expect(wrong).toEqual([]);
    await expectNothingLeft(process.pid, before);
    progress.advance(count);
    console.log(`faults: ${progress.done} of ${rounds} rounds`);
  }
  progress.finish();
});
