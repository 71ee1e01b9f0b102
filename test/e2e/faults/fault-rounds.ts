import { seededRandom } from '../../support/seed.ts';
import { playRound } from './fault-round.ts';
import { HopChain } from './hop-chain.ts';

/** Chains that play at once. Most of a round is waiting for a deadline. */
const LANES = 4;

/** The seeds of rounds `first` … `first + count − 1` of a run. */
export function roundSeeds(runSeed: number, first: number, count: number): number[] {
  const random = seededRandom(runSeed);
  return Array.from({ length: first + count }, () => random.between(0, 2 ** 32 - 1)).slice(first);
}

/**
 * Plays the rounds of `seeds`, in several chains at once.
 *
 * @returns what was wrong, by round
 */
export async function playRounds(seeds: readonly number[]): Promise<string[]> {
  const wrong: string[] = [];
  const waiting = [...seeds];
  const lane = async (): Promise<void> => {
    await using chain = await HopChain.start();
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      wrong.push(...(await playRound(chain, seed)));
    }
  };
  await Promise.all(Array.from({ length: Math.min(LANES, seeds.length) }, lane));
  return wrong;
}
