import { expect, it } from 'vitest';
import { expectNothingLeft, holdings } from '../../support/leaks.ts';
import { runSeed } from '../../support/seed.ts';
import { playFaults, roundSeeds } from './fault-rounds.ts';

const ROUNDS = 40;

it('tells the truth when a link breaks at any byte, in time, and leaves nothing', async () => {
  const seed = runSeed('faults');
  // What the first chain loads stays loaded.
  const [warmUp = 0] = roundSeeds(0, 0, 1);
  expect(await playFaults([warmUp])).toEqual([]);
  const before = holdings(process.pid);
  // A seed that was given is that of one round, as a failure prints it.
  const seeds = process.env['SEED'] === undefined ? roundSeeds(seed, 0, ROUNDS) : [seed];
  expect(await playFaults(seeds)).toEqual([]);
  await expectNothingLeft(process.pid, before);
}, 300_000);
