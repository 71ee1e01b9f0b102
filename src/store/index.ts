export { EmbeddedStore, type EmbeddedStoreOptions } from './embedded-store.ts';
export { EtcdStore, type EtcdStoreOptions } from './etcd-store.ts';
export { MemoryStore, type MemoryStoreOptions } from './memory-store.ts';
export { openStore, type StoreOptions } from './open-store.ts';
export type * from './store.ts';
export { MAX_VALUE_BYTES } from './store-key.ts';
