import { expect, it } from 'vitest';
import { KilledNode } from '../e2e/killed-pods/killed-node.ts';
import { playRound } from '../e2e/killed-pods/killed-round.ts';
import { Progress, roundCount } from './progress.ts';

/** Of one round. */
const PODS = 50;

it.each(['ours', 'containerd'] as const)(
  'a thousand pods leave nothing though hops are killed: %s',
  async (runtime) => {
    const rounds = roundCount(20);
    const progress = Progress.open(`killed-pods-${runtime}`);
    await using node = await KilledNode.start(runtime);
    while (progress.done < rounds) {
      const { kills, left } = await playRound(node, (progress.seed + progress.done) % 2 ** 32, PODS);
      expect(left).toEqual([]);
      progress.advance(1);
      console.log(`killed pods, ${runtime}: ${progress.done * PODS} pods, the last ${PODS} with ${kills} kills`);
    }
    progress.finish();
  },
);
