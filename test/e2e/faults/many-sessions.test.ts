import { expect, it } from 'vitest';
import { expectNothingLeft, holdings } from '../../support/leaks.ts';
import { HopChain } from './hop-chain.ts';
import { manySessions } from './many-sessions.ts';
import { leftBehind } from './truth.ts';

const SESSIONS = 20;

it(`serves ${SESSIONS} sessions at once, each with its own input, output and exit code`, async () => {
  await using chain = await HopChain.start({ limits: {} });
  expect(await manySessions(chain.apiserver, 4)).toEqual([]);
  expect(await leftBehind(() => chain.remains())).toEqual([]);
  const before = holdings(process.pid);
  expect(await manySessions(chain.apiserver, SESSIONS)).toEqual([]);
  expect(await leftBehind(() => chain.remains())).toEqual([]);
  await expectNothingLeft(process.pid, before);
});
