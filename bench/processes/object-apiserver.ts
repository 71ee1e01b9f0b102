import { type Apiserver, createStreamingHandler, kubeletDialer, startApiserver } from '../../src/apiserver/index.ts';
import type { StoredPair } from '../../src/pki/index.ts';
import { openStore, type Store, type StoreOptions } from '../../src/store/index.ts';
import { memoryInUse } from '../memory-in-use.ts';
import { answerParent } from '../worker.ts';

export interface ObjectApiserverConfig {
  readonly store: StoreOptions;
  readonly serving: StoredPair;
  /** Of nodes, and of their kubelets. */
  readonly caFile: string;
  readonly kubeletClient: StoredPair;
  readonly tokenAuthFile: string;
}

const HOUR_MS = 3_600_000;

let store: Store | undefined;
let apiserver: Apiserver | undefined;

// Our apiserver with a store on disk or in etcd, as a process of its own.
answerParent({
  start: async ({ store: place, serving, caFile, kubeletClient, tokenAuthFile }: ObjectApiserverConfig) => {
    store = await openStore(place);
    apiserver = await startApiserver({
      store,
      securePort: 0,
      tlsCertFile: serving.certificateFile,
      tlsPrivateKeyFile: serving.keyFile,
      clientCaFile: caFile,
      tokenAuthFile,
      kubeletPreferredAddressTypes: ['InternalIP'],
      onConnect: createStreamingHandler(
        kubeletDialer({
          clientCertificateFile: kubeletClient.certificateFile,
          clientKeyFile: kubeletClient.keyFile,
          certificateAuthorityFile: caFile,
        }),
      ),
      shutdownGraceMs: 0,
      // The simulated nodes are silent, and beside kube-apiserver no controller runs that would change all their pods.
      nodeMonitorGraceMs: HOUR_MS,
    });
  },
  url: () => apiserver?.address?.url,
  memory: memoryInUse,
  close: async () => {
    await apiserver?.close();
    await store?.close();
  },
});
