import { expect, it } from 'vitest';
import { KilledRuntime } from '../e2e/killed-runtime/killed-round.ts';
import { RuntimeProcess } from '../e2e/killed-runtime/runtime-process.ts';
import { Progress, roundCount } from './progress.ts';

/** Rounds of one runtime's state folder, and between two notes of the progress. */
const BATCH = 20;

it('finds everything again after 500 kill -9 in a busy life', async () => {
  const rounds = roundCount(500);
  const progress = Progress.open('killed-runtime');
  while (progress.done < rounds) {
    const count = Math.min(BATCH, rounds - progress.done);
    await using runtime = await RuntimeProcess.start();
    const killed = new KilledRuntime(runtime);
    for (let round = progress.done; round < progress.done + count; round += 1) {
      expect(await killed.playRound((progress.seed + round) % 2 ** 32)).toEqual([]);
    }
    expect(await killed.finish()).toEqual([]);
    progress.advance(count);
    console.log(`killed runtime: ${progress.done} of ${rounds} rounds; ${JSON.stringify(killed.figures)}`);
  }
  progress.finish();
});
