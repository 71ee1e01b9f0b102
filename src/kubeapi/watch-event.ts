import type { Status } from '../common/status.ts';
import type { KubeObject } from './object-meta.ts';

/** An object came, changed or went. */
export interface WatchChange<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** For DELETED: its last state. */
  readonly object: T;
}

/** Its object has nothing but `metadata.resourceVersion`: the watch has seen everything up to there. */
export interface WatchBookmark {
  readonly type: 'BOOKMARK';
  readonly object: KubeObject;
}

/** The watch ends here; 410 means that `resourceVersion` is too old and the list must be read again. */
export interface WatchFailure {
  readonly type: 'ERROR';
  readonly object: Status;
}

/** One line of a watch. */
export type WatchEvent<T> = WatchChange<T> | WatchBookmark | WatchFailure;
