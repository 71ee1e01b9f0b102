import { EmbeddedStore } from './embedded-store.ts';
import { EtcdStore, type EtcdStoreOptions } from './etcd-store.ts';
import { MemoryStore } from './memory-store.ts';
import type { Store } from './store.ts';

/** Which store, and where. Fields bear the names of the flags. */
export type StoreOptions =
  /** Gone with the process. */
  | { readonly storageBackend: 'memory' }
  /** A folder of this machine, for one process. */
  | { readonly storageBackend: 'embedded'; readonly dataDir: string }
  /** Shared with other apiservers. */
  | (EtcdStoreOptions & { readonly storageBackend: 'etcd' });

/** @throws ExecPathError as {@link EmbeddedStore.open} and {@link EtcdStore.open} */
export async function openStore(options: StoreOptions): Promise<Store> {
  switch (options.storageBackend) {
    case 'memory':
      return new MemoryStore({ firstRevision: Date.now() });
    case 'embedded':
      return await EmbeddedStore.open(options);
    case 'etcd':
      return await EtcdStore.open(options);
  }
}
