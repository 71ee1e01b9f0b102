import type { KeyValue } from './gen/etcd/v3/etcd_pb.ts';
import type { StoreEntry } from './store.ts';

/** How the store's keys are called in etcd. */
export interface EtcdKeys {
  encode(key: string): Uint8Array;
  decode(bytes: Uint8Array): string;
  /** What begins with `prefix`. */
  range(prefix: string): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array };
  /** The lowest key above `key`. */
  after(key: string): Uint8Array;
  /** Everything. */
  readonly all: { readonly key: Uint8Array; readonly rangeEnd: Uint8Array };
}

/** Values that are kept so that they are not parsed again, in characters. */
export const CACHE_CHARS = 64 * 1024 * 1024;

/**
 * The entry of each key that was seen last. Who asks for the same key and revision again gets the same entry, so that
 * what was made of it is found again; the oldest are forgotten.
 */
export class EntryCache {
  readonly #keys: EtcdKeys;
  readonly #entries = new Map<string, StoreEntry>();
  #chars = 0;

  constructor(keys: EtcdKeys) {
    this.#keys = keys;
  }

  /** The entry of a key and its revision, whether or not `kv` has a value. */
  find(kv: KeyValue): StoreEntry | undefined {
    const known = this.#entries.get(this.#keys.decode(kv.key));
    return known?.modRevision === Number(kv.modRevision) ? known : undefined;
  }

  entryOf(kv: KeyValue): StoreEntry {
    const key = this.#keys.decode(kv.key);
    const modRevision = Number(kv.modRevision);
    const known = this.#entries.get(key);
    if (known?.modRevision === modRevision) return known;
    const { buffer, byteOffset, byteLength } = kv.value;
    const value = Buffer.from(buffer, byteOffset, byteLength).toString();
    const entry = { key, value, createRevision: Number(kv.createRevision), modRevision };
    // An older one, as a list of the past or a watch brings, takes nobody's place.
    return known !== undefined && known.modRevision > modRevision ? entry : this.keep(entry);
  }

  keep(entry: StoreEntry): StoreEntry {
    const known = this.#entries.get(entry.key);
    if (known?.modRevision === entry.modRevision) return known;
    this.forget(entry.key);
    this.#entries.set(entry.key, entry);
    this.#chars += entry.value.length;
    for (const [key] of this.#entries) {
      if (this.#chars <= CACHE_CHARS) break;
      this.forget(key);
    }
    return entry;
  }

  forget(key: string): void {
    const known = this.#entries.get(key);
    if (known === undefined) return;
    this.#entries.delete(key);
    this.#chars -= known.value.length;
  }
}
