export { MemoryStore, type MemoryStoreOptions } from './memory-store.ts';
export type * from './store.ts';
