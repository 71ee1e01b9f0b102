import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Etcd } from '../support/etcd.ts';
import { describeWithPeer } from '../support/peer.ts';
import { runSeed } from '../support/seed.ts';
import { KilledStore } from './killed-store.ts';

/** The long form is `npm run soak -- killed-store`. */
const ROUNDS = 4;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-killed-store-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function playRounds(flags: readonly string[]): Promise<string[]> {
  const seed = runSeed('killed-store');
  const store = new KilledStore(flags);
  const problems: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) problems.push(...(await store.play((seed + round) % 2 ** 32)));
  return problems;
}

describe('an apiserver that is killed while it writes', () => {
  it('loses nothing confirmed in the embedded store, and watches go on', async () => {
    expect(await playRounds(['--cert-dir', folder])).toEqual([]);
  });
});

describeWithPeer('etcd', 'an apiserver that is killed while it writes to etcd', () => {
  it('loses nothing confirmed, and watches go on', async () => {
    await using etcd = await Etcd.start();
    expect(await playRounds(['--cert-dir', folder, '--etcd-servers', etcd.servers.join(',')])).toEqual([]);
  });
});
