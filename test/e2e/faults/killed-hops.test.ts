import { expect, it } from 'vitest';
import { runSeed } from '../../support/seed.ts';
import { playKilledHops, roundSeeds } from './fault-rounds.ts';

const ROUNDS = 10;

it('tells the truth when a hop is killed or stopped at any moment, and serves again when it is back', async () => {
  const seed = runSeed('killed hops');
  // A seed that was given is that of one round, as a failure prints it.
  const seeds = process.env['SEED'] === undefined ? roundSeeds(seed, 0, ROUNDS) : [seed];
  expect(await playKilledHops(seeds)).toEqual([]);
}, 300_000);
