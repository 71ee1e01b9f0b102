import type { ObjectMeta } from './object-meta.ts';
import type { ResourceList } from './quantity.ts';

/** What one kind of thing (Pod, Container, PersistentVolumeClaim) may ask for. */
export interface LimitRangeItem {
  readonly type: string;
  readonly min?: ResourceList;
  readonly max?: ResourceList;
  readonly default?: ResourceList;
  readonly defaultRequest?: ResourceList;
  readonly maxLimitRequestRatio?: ResourceList;
}

/** v1.LimitRange */
export interface LimitRange {
  readonly metadata: ObjectMeta;
  readonly spec?: { readonly limits?: readonly LimitRangeItem[] };
}
