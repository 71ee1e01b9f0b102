import type { Status } from '../common/status.ts';
import type { KubeObject } from './object-meta.ts';

/**
 * One line of a watch.
 *
 * A BOOKMARK's object has nothing but `metadata.resourceVersion`: the watch has seen everything up to there.
 */
export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly object: KubeObject }
  | { readonly type: 'ERROR'; readonly object: Status };
