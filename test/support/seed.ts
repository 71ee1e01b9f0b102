/** A source of numbers that its seed decides wholly. */
export interface SeededRandom {
  readonly seed: number;
  /** 0 ≤ n < 1 */
  next(): number;
  /** An integer, `low` ≤ n ≤ `high`. */
  between(low: number, high: number): number;
  /** @throws RangeError for an empty list */
  pick<T>(choices: readonly T[]): T;
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}

/**
 * The seed of this run: the environment variable SEED, or a new one. It is printed, so that a failure can be replayed.
 *
 * @throws RangeError when SEED is not an integer from 0 to 2^32 − 1
 */
export function runSeed(title: string): number {
  const text = process.env['SEED'];
  const seed = text === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(text);
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32)
    throw new RangeError(`SEED ${text} is not a 32-bit integer`);
  console.log(`${title}: SEED=${seed}`);
  return seed;
}

/** Mulberry32: 32 bits of state, good enough to choose faults and sizes. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed | 0;
  const word = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const next = (): number => word() / 2 ** 32;
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return {
    seed,
    next,
    between,
    pick: (choices) => {
      if (choices.length === 0) throw new RangeError('there is nothing to pick from');
      return choices[between(0, choices.length - 1)] as (typeof choices)[number];
    },
    bytes: (length) => Uint8Array.from({ length }, () => word() & 0xff),
  };
}
