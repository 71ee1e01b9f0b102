import { type Apiserver, startApiserver } from '../../src/apiserver/index.ts';
import type { StoredPair } from '../../src/pki/index.ts';
import { openStore, type Store, type StoreOptions } from '../../src/store/index.ts';
import { memoryInUse } from '../memory-in-use.ts';
import { answerParent } from '../worker.ts';

export interface ObjectApiserverConfig {
  readonly store: StoreOptions;
  readonly serving: StoredPair;
  readonly tokenAuthFile: string;
}

let store: Store | undefined;
let apiserver: Apiserver | undefined;

// Our apiserver with a store on disk or in etcd, as a process of its own.
answerParent({
  start: async ({ store: place, serving, tokenAuthFile }: ObjectApiserverConfig) => {
    store = await openStore(place);
    apiserver = await startApiserver({
      store,
      securePort: 0,
      tlsCertFile: serving.certificateFile,
      tlsPrivateKeyFile: serving.keyFile,
      tokenAuthFile,
      shutdownGraceMs: 0,
    });
  },
  url: () => apiserver?.address?.url,
  memory: memoryInUse,
  close: async () => {
    await apiserver?.close();
    await store?.close();
  },
});
