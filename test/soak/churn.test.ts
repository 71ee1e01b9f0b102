import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Churn, type ChurnOptions } from '../interop/informers/churn.ts';
import { ClientNodeInformer, GoReflector } from '../interop/informers/followers.ts';
import { mustRun } from '../support/child.ts';
import { describeWithPeer, findProgram } from '../support/peer.ts';
import { runSeed, seededRandom } from '../support/seed.ts';

/** For each store: the environment variable MINUTES, or an hour in all. */
const minutes = Number(process.env['MINUTES'] ?? 30);

const go = findProgram('go');

/** Between two lines of the progress, in ends of the apiserver. */
const REPORT_ROUNDS = 20;

describeWithPeer('etcd', 'informers through churn', () => {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-reflector-'));
  const peer = join(folder, 'peer');
  beforeAll(async () => {
    const cwd = join(import.meta.dirname, '../interop/informers');
    if (go !== undefined) await mustRun(go, ['build', '-o', peer, '.'], { cwd, deadlineMs: 590_000 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const reflectors: ChurnOptions['followers'] = {
    'client-go by lists': (options) => new GoReflector(peer, false, options),
    'client-go by watch-lists': (options) => new GoReflector(peer, true, options),
  };
  const followers: ChurnOptions['followers'] = {
    'client-node': (options) => new ClientNodeInformer(options),
    ...(go === undefined ? {} : reflectors),
  };

  const title = `miss and repeat nothing in ${minutes} minutes${go === undefined ? ' (without client-go: no go)' : ''}`;
  it.each(['embedded', 'etcd'] as const)(`${title}: %s`, async (backend) => {
    const seed = runSeed(`churn, ${backend}`);
    const random = seededRandom(seed);
    const end = Date.now() + minutes * 60_000;
    await using churn = await Churn.start({ backend, seed, followers });
    while (Date.now() < end) {
      await churn.round(random.between(20, 2000));
      // Every other time the next end may come while they still wait for this one.
      if (random.between(0, 1) === 0) await churn.caughtUp();
      if (churn.kills % REPORT_ROUNDS === 0) console.log(churn.report());
    }
    expect(await churn.finish()).toEqual([]);
    console.log(`${backend}, ${minutes} minutes: ${churn.report()}`);
  });
});
