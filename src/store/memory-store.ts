import { ExecPathError } from '../common/errors.ts';
import { RevisionHistory, type RevisionHistoryOptions } from './revision-history.ts';
import { SortedKeys } from './sorted-keys.ts';
import type {
  PutOptions,
  RangeOptions,
  Store,
  StoreEntry,
  StoreEvent,
  StoreProgress,
  StoreRange,
  WriteOptions,
  WriteResult,
} from './store.ts';

/** What all keys and values together may take. etcd's default is 2 GiB on disk; this is memory. */
export const STORE_QUOTA_BYTES = 512 * 1024 * 1024;

/** How often keys with a time to live are looked at, in ms: they outlive it by at most this. */
export const EXPIRY_SWEEP_MS = 10_000;

export interface MemoryStoreOptions extends RevisionHistoryOptions {
  /** Default {@link STORE_QUOTA_BYTES}. */
  readonly quotaBytes?: number;
}

/**
 * A {@link Store} in the memory of this process: gone when it ends.
 *
 * Owns: the timer that removes expired keys, while there are any.
 */
export class MemoryStore implements Store {
  readonly #entries = new Map<string, StoreEntry>();
  readonly #keys = new SortedKeys();
  readonly #expiries = new Map<string, number>();
  readonly #history: RevisionHistory;
  readonly #quotaBytes: number;
  #bytes = 0;
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: MemoryStoreOptions = {}) {
    this.#quotaBytes = options.quotaBytes ?? STORE_QUOTA_BYTES;
    this.#history = new RevisionHistory(options);
  }

  async revision(): Promise<number> {
    return this.#history.revision;
  }

  async get(key: string): Promise<{ entry: StoreEntry | undefined; revision: number }> {
    return { entry: this.#entries.get(key), revision: this.#history.revision };
  }

  async range(prefix: string, options: RangeOptions = {}): Promise<StoreRange> {
    const revision = options.revision ?? this.#history.revision;
    const changedSince = this.#history.stateBefore(prefix, revision);
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

  async put(key: string, value: string, options: PutOptions = {}): Promise<WriteResult> {
    this.#refuseWhenClosed();
    const current = this.#entries.get(key);
    if (isInTheWay(current, options)) return { written: false, current };
    const bytes = this.#bytes + sizeOf(key, value) - (current === undefined ? 0 : sizeOf(key, current.value));
    if (bytes > this.#quotaBytes) {
      throw new ExecPathError(
        'ERR_STORE_FULL',
        `the store may hold ${this.#quotaBytes} bytes and ${key} would make it ${bytes}`,
      );
    }
    this.#bytes = bytes;
    const revision = this.#history.revision + 1;
    const entry: StoreEntry = {
      key,
      value,
      createRevision: current?.createRevision ?? revision,
      modRevision: revision,
    };
    this.#entries.set(key, entry);
    if (current === undefined) this.#keys.add(key);
    this.#setExpiry(key, options.ttlMs);
    this.#history.append({ type: 'put', revision, entry, ...(current === undefined ? {} : { previous: current }) });
    return { written: true, entry, revision };
  }

  async delete(key: string, options: WriteOptions = {}): Promise<WriteResult> {
    this.#refuseWhenClosed();
    return this.#remove(key, options);
  }

  watch(
    prefix: string,
    afterRevision: number,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<StoreEvent | StoreProgress> {
    return this.#history.follow(prefix, afterRevision, options.signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
    this.#history.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #remove(key: string, options: WriteOptions): WriteResult {
    const current = this.#entries.get(key);
    if (current === undefined || isInTheWay(current, options)) return { written: false, current };
    this.#entries.delete(key);
    this.#keys.delete(key);
    this.#setExpiry(key, undefined);
    this.#bytes -= sizeOf(key, current.value);
    const revision = this.#history.revision + 1;
    this.#history.append({ type: 'delete', revision, previous: current });
    return { written: true, entry: current, revision };
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

  #setExpiry(key: string, ttlMs: number | undefined): void {
    if (ttlMs === undefined) this.#expiries.delete(key);
    else this.#expiries.set(key, Date.now() + ttlMs);
    if (this.#expiries.size === 0) {
      clearInterval(this.#sweep);
      this.#sweep = undefined;
    } else {
      this.#sweep ??= setInterval(() => this.#removeExpired(), EXPIRY_SWEEP_MS).unref();
    }
  }

  #removeExpired(): void {
    const now = Date.now();
    for (const [key, expiresAt] of this.#expiries) {
      if (expiresAt <= now) this.#remove(key, {});
    }
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new ExecPathError('ERR_STORE_CLOSED', 'the store is closed');
  }
}

function isInTheWay(current: StoreEntry | undefined, options: WriteOptions): boolean {
  return options.expectedRevision !== undefined && options.expectedRevision !== (current?.modRevision ?? 0);
}

function sizeOf(key: string, value: string): number {
  return Buffer.byteLength(key) + Buffer.byteLength(value);
}

function byCodeUnits(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
