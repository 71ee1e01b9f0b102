import { ExecPathError } from '../common/errors.ts';
import { Expiries } from './expiries.ts';
import { KeySpace, type KeySpaceOptions, PendingChanges, type Write } from './key-space.ts';
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
import { StoreFiles } from './store-files.ts';
import { checkWrite } from './store-key.ts';

/** Writes that share one commit; those that come meanwhile wait for the next. */
export const MAX_COMMIT_WRITES = 256;

export interface EmbeddedStoreOptions extends Omit<KeySpaceOptions, 'firstRevision'> {
  /** `--data-dir`: made when it is not there, 0700. One process at a time. */
  readonly dataDir: string;
}

interface WaitingWrite {
  readonly write: Write;
  readonly resolve: (result: WriteResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A {@link Store} in one folder of this machine, shown from memory. A write is told when it is on disk; revisions, times to
 * live and the history of watches go on where the last process ended, however it did.
 *
 * Owns: the files, and the timer that removes expired keys.
 */
export class EmbeddedStore implements Store {
  readonly #space: KeySpace;
  readonly #files: StoreFiles;
  readonly #expiries = new Expiries((key) => this.#expire(key));
  /** When the keys of writes under way are to disappear. */
  readonly #newExpiries = new Map<StoreEntry, number>();
  /** A commit that failed without anybody knowing whether it is on disk. */
  #uncertain: PendingChanges | undefined;
  readonly #waiting: WaitingWrite[] = [];
  #committing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(files: StoreFiles, space: KeySpace) {
    this.#files = files;
    this.#space = space;
  }

  /** @throws ExecPathError ERR_STATE_IN_USE, ERR_STORE_FILE, ERR_STORE_FULL, ERR_STORE_UNAVAILABLE */
  static async open(options: EmbeddedStoreOptions): Promise<EmbeddedStore> {
    const { dataDir, ...rest } = options;
    const { files, loaded } = await StoreFiles.open(dataDir);
    const space = new KeySpace({ ...rest, firstRevision: loaded.compacted });
    const store = new EmbeddedStore(files, space);
    for (const { entry, expiresAt } of loaded.entries) {
      space.restore(entry);
      store.#expiries.set(entry.key, expiresAt);
    }
    for (const event of loaded.events) space.history.append(event);
    return store;
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
    checkWrite(key);
    return this.#write({ type: 'delete', key, options });
  }

  watch(
    prefix: string,
    afterRevision: number,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<StoreEvent | StoreProgress> {
    return this.#space.watch(prefix, afterRevision, options.signal);
  }

  /** Ends watches, lets the writes under way come to disk and gives the folder back. Twice is once. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    this.#expiries.close();
    this.#space.history.close();
    await this.#committing;
    await this.#files.close();
  }

  #write(write: Write): Promise<WriteResult> {
    if (this.#closing !== undefined) throw new ExecPathError('ERR_STORE_CLOSED', 'the store is closed');
    return new Promise((resolve, reject) => {
      this.#waiting.push({ write, resolve, reject });
      this.#committing ??= this.#commitAll();
    });
  }

  async #commitAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0, MAX_COMMIT_WRITES));
    // In the same turn as the look above: a write that comes later begins anew.
    this.#committing = undefined;
  }

  async #commit(writes: readonly WaitingWrite[]): Promise<void> {
    const pending = new PendingChanges();
    const decided: { readonly waiting: WaitingWrite; readonly result: WriteResult }[] = [];
    try {
      await this.#recover();
      for (const waiting of writes) this.#decideInto(pending, decided, waiting);
      if (pending.events.length > 0) {
        await this.#files.commit(pending, (entry) => this.#newExpiries.get(entry), this.#space.history.compacted);
      }
    } catch (thrown) {
      if (this.#files.isStuck && this.#uncertain === undefined) this.#uncertain = pending;
      else this.#newExpiries.clear();
      for (const { reject } of writes) reject(thrown);
      return;
    }
    this.#apply(pending);
    for (const { waiting, result } of decided) waiting.resolve(result);
  }

  /** What a failed commit left open is settled before anything else is decided. */
  async #recover(): Promise<void> {
    if (!this.#files.isStuck) return;
    const revision = await this.#files.recover();
    // Those who asked were told that it failed; it may all the same have come to disk, and is then as good as any.
    if (this.#uncertain !== undefined && revision > this.#space.revision) this.#apply(this.#uncertain);
    this.#uncertain = undefined;
  }

  /** A refusal may rest on a change of the same commit: it is told with it. */
  #decideInto(
    pending: PendingChanges,
    decided: { readonly waiting: WaitingWrite; readonly result: WriteResult }[],
    waiting: WaitingWrite,
  ): void {
    try {
      const { event, result } = this.#decide(waiting.write, pending);
      if (event !== undefined) pending.add(event);
      decided.push({ waiting, result });
    } catch (thrown) {
      waiting.reject(thrown);
    }
  }

  #decide(write: Write, pending: PendingChanges): ReturnType<KeySpace['decide']> {
    const revision = this.#space.revision + pending.events.length + 1;
    const decision = this.#space.decide(write, revision, pending);
    if (write.type === 'put' && write.options.ttlMs !== undefined && decision.event?.type === 'put') {
      this.#newExpiries.set(decision.event.entry, Date.now() + write.options.ttlMs);
    }
    return decision;
  }

  #apply(changes: PendingChanges): void {
    for (const event of changes.events) {
      this.#space.apply(event);
      if (event.type === 'put') this.#expiries.set(event.entry.key, this.#newExpiries.get(event.entry));
      else this.#expiries.set(event.previous.key, undefined);
    }
    this.#newExpiries.clear();
  }

  /** Only as it stands: a write under way may have given it more time. */
  #expire(key: string): void {
    const entry = this.#space.get(key);
    if (entry === undefined || this.#closing !== undefined) return;
    // One that fails, as on a full disk, is tried again at the next look.
    void this.delete(key, { expectedRevision: entry.modRevision }).catch(() => {});
  }
}
