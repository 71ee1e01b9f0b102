import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mustRun } from '../../support/child.ts';
import { describeWithPeer, findProgram } from '../../support/peer.ts';
import { runSeed } from '../../support/seed.ts';
import { Churn, type ChurnOptions } from './churn.ts';
import { ClientNodeInformer, GoReflector } from './followers.ts';

// The long form is `npm run soak -- churn`.

const go = findProgram('go');

/** Ends of the apiserver. */
const ROUNDS = 2;

/** A reflector waits longer each time that nobody listens. */
const PATIENCE_MS = 300_000;

async function play(options: Omit<ChurnOptions, 'seed'>): Promise<void> {
  await using churn = await Churn.start({ ...options, seed: runSeed(`churn, ${options.backend}`) });
  for (let round = 0; round < ROUNDS; round += 1) {
    await churn.round(60);
    await churn.caughtUp();
  }
  if (options.backend === 'etcd') await churn.forget(60);
  expect(await churn.finish()).toEqual([]);
  console.log(churn.report());
  for (const { name, lists, lost } of churn.records) {
    // Their watches go on in the next apiserver; what etcd has forgotten only a list can tell.
    expect(lists, name).toBe(options.backend === 'etcd' ? 2 : 1);
    if (options.backend === 'etcd') expect(lost, name).toBeGreaterThan(0);
  }
}

describe('the informer of client-node misses and repeats nothing through ends of the apiserver', () => {
  const followers = { 'client-node': (options) => new ClientNodeInformer(options) } satisfies ChurnOptions['followers'];
  it('with the embedded store', () => play({ backend: 'embedded', followers }), PATIENCE_MS);

  describeWithPeer('etcd', 'with etcd', () => {
    it(
      'and a second apiserver, and a history that etcd forgets',
      () => play({ backend: 'etcd', followers }),
      PATIENCE_MS,
    );
  });
});

const title = `the reflector of client-go${go === undefined ? ' (skipped: no go)' : ''}`;

describe.skipIf(go === undefined)(title, () => {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-reflector-'));
  const peer = join(folder, 'peer');
  beforeAll(async () => {
    await mustRun(go as string, ['build', '-o', peer, '.'], { cwd: import.meta.dirname, deadlineMs: 590_000 });
  }, 600_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  const followers: ChurnOptions['followers'] = {
    'client-go by lists': (options) => new GoReflector(peer, false, options),
    'client-go by watch-lists': (options) => new GoReflector(peer, true, options),
  };

  it(
    'misses and repeats nothing through ends of the apiserver',
    () => play({ backend: 'embedded', followers }),
    PATIENCE_MS,
  );

  describeWithPeer('etcd', 'with etcd', () => {
    it(
      'and a second apiserver, and a history that etcd forgets',
      () => play({ backend: 'etcd', followers }),
      PATIENCE_MS,
    );
  });
});
