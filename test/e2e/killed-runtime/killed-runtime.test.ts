import { expect, it } from 'vitest';
import { runSeed } from '../../support/seed.ts';
import { KilledRuntime } from './killed-round.ts';
import { RuntimeProcess } from './runtime-process.ts';

const ROUNDS = 3;
/** Seconds on a machine with nothing else to do; this many ms on one that is busy. */
const TIMEOUT_MS = 300_000;

// The long form: npm run soak -- killed-runtime
it(`finds everything again that ${ROUNDS} killed runtimes left, and leaves nothing itself`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const seed = runSeed('killed runtime');
  await using runtime = await RuntimeProcess.start();
  const killed = new KilledRuntime(runtime);
  for (let round = 0; round < ROUNDS; round += 1) expect(await killed.playRound((seed + round) % 2 ** 32)).toEqual([]);
  expect(await killed.finish()).toEqual([]);
});
