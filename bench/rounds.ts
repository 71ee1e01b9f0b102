/** One of those that are compared. */
export interface Contestant<Sample> {
  readonly name: string;
  readonly run: () => Promise<Sample>;
}

/**
 * Lets all contestants run once per round, so that what else the machine does meets all of them; the order turns with
 * the round, so that nobody always runs after the same other.
 *
 * @param warmups rounds that are not counted
 * @returns the samples of each contestant, in the order of rounds
 */
export async function interleave<Sample>(
  contestants: readonly Contestant<Sample>[],
  rounds: number,
  warmups = 1,
): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(contestants.map(({ name }) => [name, []]));
  for (let round = -warmups; round < rounds; round += 1) {
    const turn = (round + warmups) % Math.max(1, contestants.length);
    for (const { name, run } of [...contestants.slice(turn), ...contestants.slice(0, turn)]) {
      const sample = await run();
      if (round >= 0) samples.get(name)?.push(sample);
    }
  }
  return samples;
}
