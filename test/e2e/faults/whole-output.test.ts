import { afterAll, beforeAll, expect, it } from 'vitest';
import { HopChain } from './hop-chain.ts';
import { expectedOutput, longOutput, outputWays } from './whole-output.ts';

const TIMES = 5;

const expected = new Map(outputWays.map((way) => [way, expectedOutput(way)]));

let chain: HopChain;
beforeAll(async () => {
  chain = await HopChain.start({ limits: {} });
});
afterAll(() => chain[Symbol.asyncDispose]());

it.each([
  ['a fast reader', false, 'fast'],
  ['a slow reader', false, 'slow'],
  ['a fast reader with a terminal', true, 'fast'],
  ['a slow reader with a terminal', true, 'slow'],
] as const)(`brings all of seq 1 2000000 to %s, ${TIMES} times`, async (_title, tty, reader) => {
  const ways = outputWays.filter((way) => way.tty === tty && way.reader === reader);
  for (let time = 0; time < TIMES; time += 1) {
    const way = ways[time % ways.length]!;
    expect(await longOutput(way, chain.apiserver)).toBe(expected.get(way));
  }
});
