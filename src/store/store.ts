/** One key with its value, as of one revision. Never changed once handed out: a later write makes a new entry. */
export interface StoreEntry {
  readonly key: string;
  /** Opaque to the store: the registry writes JSON. */
  readonly value: string;
  /** The revision that created the key after it was last absent. */
  readonly createRevision: number;
  /** The revision of the last write: `resourceVersion` of an object. */
  readonly modRevision: number;
}

/** One change; every revision has exactly one. */
export type StoreEvent =
  | {
      readonly type: 'put';
      readonly revision: number;
      readonly entry: StoreEntry;
      /** What stood there before; absent when the key is new. */
      readonly previous?: StoreEntry;
    }
  | { readonly type: 'delete'; readonly revision: number; readonly previous: StoreEntry };

/** What a watch gives: a change, or how far the store has come without one under the prefix. */
export type StoreProgress = { readonly type: 'progress'; readonly revision: number };

export interface RangeOptions {
  /** Keys up to and including this one are left out; for reading on after a full page. */
  readonly after?: string;
  /** At most so many entries; absent: all. */
  readonly limit?: number;
  /** The state as of this revision, for pages that belong together; absent: the newest. */
  readonly revision?: number;
}

export interface StoreRange {
  /** In the order of their keys. */
  readonly entries: readonly StoreEntry[];
  /** The revision that the entries show. */
  readonly revision: number;
  /** How many keys under the prefix come after the last entry. */
  readonly remaining: number;
}

export interface WriteOptions {
  /** The write happens only if the key's `modRevision` is this one; 0: only if the key is absent. Absent: in any case. */
  readonly expectedRevision?: number;
}

export interface PutOptions extends WriteOptions {
  /** The key disappears so many ms after this write; absent: it stays. */
  readonly ttlMs?: number;
}

/** `current` is what stood in the way: undefined when the key is absent. */
export type WriteResult =
  | { readonly written: true; readonly entry: StoreEntry; readonly revision: number }
  | { readonly written: false; readonly current: StoreEntry | undefined };

/**
 * Where the apiserver's objects live, with etcd's model: one revision for all keys, which each write raises by one,
 * compare-and-put, ranges by prefix, and a watch from a revision.
 *
 * Every method may wait and may fail with what its implementation raises; nothing is written unless `written` says so.
 */
export interface Store extends AsyncDisposable {
  /** The revision of the last write; 1 for a store that was never written. */
  revision(): Promise<number>;
  /** The newest entry of `key`, and the store's revision at that moment. */
  get(key: string): Promise<{ readonly entry: StoreEntry | undefined; readonly revision: number }>;
  /**
   * The entries whose keys start with `prefix`.
   *
   * @throws ExecPathError ERR_REVISION_COMPACTED when `revision` is no longer held, ERR_REVISION_FUTURE when it has
   * not been reached
   */
  range(prefix: string, options?: RangeOptions): Promise<StoreRange>;
  /** @throws ExecPathError ERR_STORE_FULL when the value does not fit any more */
  put(key: string, value: string, options?: PutOptions): Promise<WriteResult>;
  /** Removes `key`; `entry` is what was removed, `revision` that of its removal. */
  delete(key: string, options?: WriteOptions): Promise<WriteResult>;
  /**
   * Every change under `prefix` with a revision above `afterRevision`, once, in order, for ever; now and then a
   * `progress`, so that a reader of a quiet prefix keeps a revision that is not compacted.
   *
   * Nothing is queued for a slow reader: it reads the store's history at its own pace, and falls out of it with
   * ERR_REVISION_COMPACTED when it is too slow. Ends when `signal` aborts or the store closes.
   *
   * @throws ExecPathError ERR_REVISION_COMPACTED, ERR_REVISION_FUTURE
   */
  watch(
    prefix: string,
    afterRevision: number,
    options?: { readonly signal?: AbortSignal },
  ): AsyncIterable<StoreEvent | StoreProgress>;
  /** Ends every watch. Twice is once. */
  close(): Promise<void>;
}
