import { expect, it } from 'vitest';
import { HopChain } from '../e2e/faults/hop-chain.ts';
import { manySessions } from '../e2e/faults/many-sessions.ts';
import { leftBehind } from '../e2e/faults/truth.ts';
import { expectNothingLeft, holdings } from '../support/leaks.ts';

const SESSIONS = 200;
const TIMES = 20;

it(`serves ${SESSIONS} sessions at once, ${TIMES} times, and leaves nothing`, async () => {
  await using chain = await HopChain.start({ limits: {} });
  expect(await manySessions(chain.apiserver, SESSIONS)).toEqual([]);
  expect(await leftBehind(() => chain.remains())).toEqual([]);
  const before = holdings(process.pid);
  for (let time = 0; time < TIMES; time += 1) {
    expect(await manySessions(chain.apiserver, SESSIONS)).toEqual([]);
    expect(await leftBehind(() => chain.remains())).toEqual([]);
    await expectNothingLeft(process.pid, before);
  }
});
