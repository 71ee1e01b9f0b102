import { ExecPathError } from '../common/errors.ts';
import { ChangeHistory, type ChangeHistoryOptions } from './change-history.ts';
import { SortedKeys } from './sorted-keys.ts';
import type {
  PutOptions,
  RangeOptions,
  StoreEntry,
  StoreEvent,
  StoreProgress,
  StoreRange,
  WriteOptions,
  WriteResult,
} from './store.ts';

/** What all keys and values together may take. etcd's default is 2 GiB on disk; this is memory. */
export const STORE_QUOTA_BYTES = 512 * 1024 * 1024;

export interface KeySpaceOptions extends ChangeHistoryOptions {
  /** Default {@link STORE_QUOTA_BYTES}. */
  readonly quotaBytes?: number;
}

/** A write that was asked for. */
export type Write =
  | { readonly type: 'put'; readonly key: string; readonly value: string; readonly options: PutOptions }
  | { readonly type: 'delete'; readonly key: string; readonly options: WriteOptions };

/** What is to become of it: a change, or the answer that it changes nothing. */
export type Decision =
  | { readonly event: StoreEvent; readonly result: WriteResult }
  | { readonly event: undefined; readonly result: WriteResult };

/**
 * Keys and values in memory, with their history: what a store of one process shows. It decides writes and applies
 * changes; between the two, the one who owns it may put them on disk.
 */
export class KeySpace {
  readonly history: ChangeHistory;
  readonly #entries = new Map<string, StoreEntry>();
  readonly #keys = new SortedKeys();
  readonly #quotaBytes: number;
  #bytes = 0;

  constructor(options: KeySpaceOptions = {}) {
    this.#quotaBytes = options.quotaBytes ?? STORE_QUOTA_BYTES;
    this.history = new ChangeHistory(options);
  }

  get size(): number {
    return this.#entries.size;
  }

  get revision(): number {
    return this.history.revision;
  }

  get(key: string): StoreEntry | undefined {
    return this.#entries.get(key);
  }

  /** @see Store.range */
  range(prefix: string, options: RangeOptions = {}): StoreRange {
    const revision = options.revision ?? this.history.revision;
    const changedSince = this.history.stateBefore(prefix, revision);
    const keys =
      changedSince.size === 0
        ? this.#keys.under(prefix, options.after)
        : this.#keysAt(prefix, changedSince, options.after);
    const page = keys.slice(0, options.limit ?? keys.length);
    const entries = page.flatMap((key) => {
      const entry = changedSince.has(key) ? changedSince.get(key) : this.#entries.get(key);
      return entry === undefined ? [] : [entry];
    });
    return { entries, revision, remaining: keys.length - page.length };
  }

  /** @see Store.watch */
  watch(prefix: string, after: number, signal: AbortSignal | undefined): AsyncIterable<StoreEvent | StoreProgress> {
    return this.history.follow(prefix, after, signal);
  }

  /**
   * What `write` would do as revision `revision`, after the changes of `pending`, which are decided and not applied.
   *
   * @throws ExecPathError ERR_STORE_FULL
   */
  decide(write: Write, revision: number, pending: PendingChanges = nothingPending): Decision {
    const { key, options } = write;
    const current = pending.entries.has(key) ? pending.entries.get(key) : this.#entries.get(key);
    const refused: Decision = { event: undefined, result: { written: false, current } };
    const { expectedRevision } = options;
    if (expectedRevision !== undefined && expectedRevision !== (current?.modRevision ?? 0)) return refused;
    if (write.type === 'delete') {
      if (current === undefined) return refused;
      const event: StoreEvent = { type: 'delete', revision, previous: current };
      return { event, result: { written: true, entry: current, revision } };
    }
    const { value } = write;
    const bytes = this.#bytes + pending.bytes + sizeOf(key, value) - (current ? sizeOf(key, current.value) : 0);
    if (bytes > this.#quotaBytes) {
      const message = `the store may hold ${this.#quotaBytes} bytes and ${key} would make it ${bytes}`;
      throw new ExecPathError('ERR_STORE_FULL', message);
    }
    const createRevision = current?.createRevision ?? revision;
    const entry: StoreEntry = { key, value, createRevision, modRevision: revision };
    const event: StoreEvent = { type: 'put', revision, entry, ...(current === undefined ? {} : { previous: current }) };
    return { event, result: { written: true, entry, revision } };
  }

  apply(event: StoreEvent): void {
    this.#bytes += growthOf(event);
    if (event.type === 'put') {
      this.#entries.set(event.entry.key, event.entry);
      if (event.previous === undefined) this.#keys.add(event.entry.key);
    } else {
      this.#entries.delete(event.previous.key);
      this.#keys.delete(event.previous.key);
    }
    this.history.append(event);
  }

  /** An entry that was there before the history begins, in the order of keys. */
  restore(entry: StoreEntry): void {
    this.#entries.set(entry.key, entry);
    this.#keys.add(entry.key);
    this.#bytes += sizeOf(entry.key, entry.value);
  }

  /** Keys that stood under `prefix` when `changedSince` had not yet happened. */
  #keysAt(
    prefix: string,
    changedSince: ReadonlyMap<string, StoreEntry | undefined>,
    after: string | undefined,
  ): string[] {
    const untouched = this.#keys.under(prefix, after).filter((key) => !changedSince.has(key));
    const restored = [...changedSince]
      .filter(([key, entry]) => entry !== undefined && (after === undefined || key > after))
      .map(([key]) => key);
    return [...untouched, ...restored].sort(byCodeUnits);
  }
}

/** Changes that are decided and not yet applied. */
export class PendingChanges {
  /** Undefined: removed. */
  readonly entries = new Map<string, StoreEntry | undefined>();
  readonly events: StoreEvent[] = [];
  bytes = 0;

  add(event: StoreEvent): void {
    this.events.push(event);
    this.bytes += growthOf(event);
    if (event.type === 'put') this.entries.set(event.entry.key, event.entry);
    else this.entries.set(event.previous.key, undefined);
  }
}

const nothingPending = new PendingChanges();

function growthOf(event: StoreEvent): number {
  const { previous } = event;
  const before = previous === undefined ? 0 : sizeOf(previous.key, previous.value);
  return (event.type === 'put' ? sizeOf(event.entry.key, event.entry.value) : 0) - before;
}

function sizeOf(key: string, value: string): number {
  return Buffer.byteLength(key) + Buffer.byteLength(value);
}

function byCodeUnits(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
