import { seededRandom } from '../../support/seed.ts';
import { clearEarlierRuns } from './earlier-runs.ts';
import { playRound, usesTls } from './fault-round.ts';
import { HopChain } from './hop-chain.ts';
import { HopProcesses } from './hop-processes.ts';
import { playKilledHop } from './killed-hop-round.ts';

/** Chains of a kind that play at once. Most of a round is waiting for a deadline. */
const CHAINS = 4;
const PROCESS_CHAINS = 4;

/** The seeds of rounds `first` … `first + count − 1` of a run. */
export function roundSeeds(runSeed: number, first: number, count: number): number[] {
  const random = seededRandom(runSeed);
  return Array.from({ length: first + count }, () => random.between(0, 2 ** 32 - 1)).slice(first);
}

/** Breaks links of in-process chains, one round for each seed. @returns what was wrong */
export async function playFaults(seeds: readonly number[]): Promise<string[]> {
  const wrong = await Promise.all(
    [false, true].map((tls) => {
      const own = seeds.filter((seed) => usesTls(seed) === tls);
      return play(own, CHAINS, () => HopChain.start({ tls }), playRound);
    }),
  );
  return wrong.flat();
}

/** Kills and stops hops that are processes, one round for each seed. @returns what was wrong */
export function playKilledHops(seeds: readonly number[]): Promise<string[]> {
  return play(seeds, PROCESS_CHAINS, () => HopProcesses.start(), playKilledHop);
}

async function play<Chain extends AsyncDisposable>(
  seeds: readonly number[],
  chains: number,
  start: () => Promise<Chain>,
  playOne: (chain: Chain, seed: number) => Promise<string[]>,
): Promise<string[]> {
  await clearEarlierRuns();
  const wrong: string[] = [];
  const waiting = [...seeds];
  const lane = async (): Promise<void> => {
    await using chain = await start();
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      wrong.push(...(await playOne(chain, seed)));
    }
  };
  await Promise.all(Array.from({ length: Math.min(chains, seeds.length) }, lane));
  return wrong;
}
