import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { EmbeddedStore, EtcdStore, MemoryStore, type Store } from '../../src/store/index.ts';
import { Etcd } from '../support/etcd.ts';
import { describeWithPeer } from '../support/peer.ts';
import { type StoreWorld, storeCompliance } from './store-suite.ts';

/** Enough for each test, and few enough to be pushed out. */
const HISTORY_EVENTS = 3000;

/** So that a part of the watches has to begin in etcd itself. */
const SHORT_HISTORY = 20;

storeCompliance('memory', async () => worldOf(new MemoryStore({ historyEvents: HISTORY_EVENTS })));

storeCompliance('embedded', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'podwire-store-'));
  const store = await EmbeddedStore.open({ dataDir: join(folder, 'data'), historyEvents: HISTORY_EVENTS });
  return worldOf(store, () => rm(folder, { recursive: true }));
});

describeWithPeer('etcd', 'with a real etcd', () => {
  let etcd: Etcd;
  let worlds = 0;
  beforeAll(async () => {
    etcd = await Etcd.start();
  });
  afterAll(async () => etcd[Symbol.asyncDispose]());

  storeCompliance('etcd', async () => {
    const store = await EtcdStore.open({
      servers: etcd.servers,
      compactionIntervalMs: 0,
      historyEvents: SHORT_HISTORY,
    });
    const world = worldOf(store);
    worlds += 1;
    return {
      ...world,
      prefix: `/registry/world${worlds}/`,
      forgetHistory: async () => {
        await world.forgetHistory(SHORT_HISTORY);
        await etcd.compact(await store.revision());
      },
    };
  });
});

function worldOf(
  store: Store,
  cleanUp: () => Promise<void> = async () => {},
): StoreWorld & { forgetHistory(events?: number): Promise<void> } {
  return {
    store,
    prefix: '/registry/tests/',
    forgetHistory: async (events: number = HISTORY_EVENTS) => {
      const puts = Array.from({ length: events }, async () => store.put('/registry/others/a', ''));
      await Promise.all(puts);
    },
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await cleanUp();
    },
  };
}
