import type { ObjectMeta } from './object-meta.ts';
import type { ResourceList } from './quantity.ts';

/** v1.ResourceQuota, the part that people are told: how much a namespace has and may have. */
export interface ResourceQuota {
  readonly metadata: ObjectMeta;
  readonly spec?: { readonly scopes?: readonly string[] };
  readonly status?: { readonly hard?: ResourceList; readonly used?: ResourceList };
}
