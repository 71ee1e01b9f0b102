import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { KilledStore } from '../e2e/killed-store.ts';
import { Etcd } from '../support/etcd.ts';
import { Progress, roundCount } from './progress.ts';

/** Rounds between two notes of the progress. */
const BATCH = 20;

it.each(['embedded', 'etcd'])('loses nothing confirmed in 500 kills of the apiserver: %s', async (backend) => {
  const rounds = roundCount(500);
  const progress = Progress.open(`killed-store-${backend}`);
  const folder = await mkdtemp(join(tmpdir(), 'podwire-killed-store-'));
  const etcd = backend === 'etcd' ? await Etcd.start() : undefined;
  try {
    const place = etcd === undefined ? [] : ['--etcd-servers', etcd.servers.join(',')];
    const store = new KilledStore(['--cert-dir', folder, ...place]);
    while (progress.done < rounds) {
      const count = Math.min(BATCH, rounds - progress.done);
      for (let round = 0; round < count; round += 1) {
        expect(await store.play((progress.seed + progress.done + round) % 2 ** 32)).toEqual([]);
      }
      progress.advance(count);
      console.log(`killed store, ${backend}: ${progress.done} of ${rounds} rounds`);
    }
    progress.finish();
  } finally {
    await etcd?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  }
});
