import { ExecPathError } from '../common/errors.ts';
import { Expiries } from './expiries.ts';
import { KeySpace, type KeySpaceOptions, type Write } from './key-space.ts';
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
import { checkWrite } from './store-key.ts';

export type MemoryStoreOptions = KeySpaceOptions;

/**
 * A {@link Store} in the memory of this process: gone when it ends.
 *
 * Owns: the timer that removes expired keys, while there are any.
 */
export class MemoryStore implements Store {
  readonly #space: KeySpace;
  readonly #expiries = new Expiries((key) => this.#write({ type: 'delete', key, options: {} }));
  #closed = false;

  constructor(options: MemoryStoreOptions = {}) {
    this.#space = new KeySpace(options);
  }

  async revision(): Promise<number> {
    return this.#space.revision;
  }

  async get(key: string): Promise<{ entry: StoreEntry | undefined; revision: number }> {
    return { entry: this.#space.get(key), revision: this.#space.revision };
  }

  async range(prefix: string, options?: RangeOptions): Promise<StoreRange> {
    return this.#space.range(prefix, options);
  }

  async put(key: string, value: string, options: PutOptions = {}): Promise<WriteResult> {
    checkWrite(key, value);
    return this.#write({ type: 'put', key, value, options });
  }

  async delete(key: string, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#write({ type: 'delete', key, options });
  }

  watch(
    prefix: string,
    afterRevision: number,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<StoreEvent | StoreProgress> {
    return this.#space.watch(prefix, afterRevision, options.signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#expiries.close();
    this.#space.history.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #write(write: Write): WriteResult {
    if (this.#closed) throw new ExecPathError('ERR_STORE_CLOSED', 'the store is closed');
    const { event, result } = this.#space.decide(write, this.#space.revision + 1);
    if (event === undefined) return result;
    this.#space.apply(event);
    const ttlMs = write.type === 'put' ? write.options.ttlMs : undefined;
    this.#expiries.set(write.key, ttlMs === undefined ? undefined : Date.now() + ttlMs);
    return result;
  }
}
