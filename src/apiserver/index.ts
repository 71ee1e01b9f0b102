export { apiStatusOf } from './api-error.ts';
export type { ApiObject } from './api-object.ts';
export type * from './connect-request.ts';
export { MemoryStore, type MemoryStoreOptions } from './memory-store.ts';
export * from './pod-location.ts';
export { Registry } from './registry.ts';
export { allResources } from './resources.ts';
export type * from './store.ts';
export * from './user.ts';
