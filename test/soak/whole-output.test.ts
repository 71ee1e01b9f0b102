import { expect, it } from 'vitest';
import { HopChain } from '../e2e/faults/hop-chain.ts';
import { expectedOutput, longOutput, outputWays } from '../e2e/faults/whole-output.ts';
import { Progress, roundCount } from './progress.ts';

/** Rounds between two notes of the progress. */
const BATCH = 10;

it('brings all of seq 1 2000000, 1,000 times, with and without a terminal, to a fast and to a slow reader', async () => {
  const rounds = roundCount(1_000);
  const progress = Progress.open('whole-output');
  await using chain = await HopChain.start({ limits: {} });
  const expected = new Map(outputWays.map((way) => [way, expectedOutput(way)]));
  while (progress.done < rounds) {
    const count = Math.min(BATCH, rounds - progress.done);
    for (let round = progress.done; round < progress.done + count; round += 1) {
      // Each round has every terminal and reader once; the transport takes turns.
      const transport = round % 2 === 0 ? 'websocket' : 'spdy';
      for (const way of outputWays.filter((candidate) => candidate.transport === transport)) {
        expect(await longOutput(way, chain.apiserver)).toBe(expected.get(way));
      }
    }
    progress.advance(count);
    console.log(`whole output: ${progress.done} of ${rounds} rounds`);
  }
  progress.finish();
});
