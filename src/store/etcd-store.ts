import { setTimeout as delay } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { ExecPathError, toError } from '../common/errors.ts';
import { ChangeHistory, type ChangeHistoryOptions, compactedError, futureError } from './change-history.ts';
import { EtcdClient, type EtcdServers } from './etcd-client.ts';
import { EtcdCompactor } from './etcd-compactor.ts';
import { EntryCache, type EtcdKeys } from './etcd-entries.ts';
import { EtcdWatch } from './etcd-watch.ts';
import {
  Compare_CompareTarget,
  type CompareSchema,
  type KeyValue,
  type RequestOpSchema,
  type ResponseOp,
} from './gen/etcd/v3/etcd_pb.ts';
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

/** `--etcd-prefix` */
export const ETCD_PREFIX = '/registry';

/** Entries asked for at once; a longer list is read in several parts of one revision. */
export const PAGE_ENTRIES = 1000;

/** Between two attempts to watch again, in ms. */
const REWATCH_PAUSE_MS = 200;

export interface EtcdStoreOptions extends EtcdServers, Omit<ChangeHistoryOptions, 'firstRevision'> {
  /** `--etcd-prefix`: what takes the place of `/registry` in keys; default that. */
  readonly prefix?: string;
  /** `--etcd-compaction-interval`: forgets what was before the last interval; default 5 min, 0 for never. */
  readonly compactionIntervalMs?: number;
  /** Told of what goes wrong in the background. */
  readonly onProblem?: (problem: Error) => void;
}

/**
 * A {@link Store} in etcd 3.4 or later, which several apiservers may share. Reads and writes are etcd's own, none is
 * answered from memory; only values that are known by key and revision are neither read again by lists nor parsed.
 *
 * One watch of everything fills a history that the watches of this process read; a watch that begins before it reads
 * from etcd until it has come there.
 *
 * Owns: the connections, the watch, the regular compaction.
 */
export class EtcdStore implements Store {
  readonly #client: EtcdClient;
  readonly #keys: EtcdKeys;
  readonly #entries: EntryCache;
  readonly #history: ChangeHistory;
  readonly #compactor: EtcdCompactor;
  readonly #stop = new AbortController();
  readonly #following: Promise<void>;

  private constructor(client: EtcdClient, firstRevision: number, options: EtcdStoreOptions) {
    const { prefix = ETCD_PREFIX, onProblem = () => {} } = options;
    this.#client = client;
    this.#keys = keysUnder(prefix);
    this.#entries = new EntryCache(this.#keys);
    this.#history = new ChangeHistory({ ...options, firstRevision });
    this.#compactor = new EtcdCompactor(client, `${prefix}/podwire/compaction`, {
      ...(options.compactionIntervalMs === undefined ? {} : { intervalMs: options.compactionIntervalMs }),
      onProblem,
    });
    this.#following = this.#follow(onProblem);
  }

  /**
   * Resolves when etcd has answered.
   *
   * @throws ExecPathError ERR_BAD_REQUEST, ERR_CERTIFICATE, ERR_STORE_UNAVAILABLE
   */
  static async open(options: EtcdStoreOptions): Promise<EtcdStore> {
    const client = await EtcdClient.create(options);
    try {
      const { version } = await client.status({});
      if (!/^(?:3\.(?:[4-9]|\d\d)|[4-9])\b/.test(version)) {
        const message = `etcd ${version} is too old: 3.4 is the first that can be used (${client.servers})`;
        throw new ExecPathError('ERR_STORE_UNAVAILABLE', message, { hop: 'apiserver' });
      }
      const { header } = await client.range({ key: keysUnder(options.prefix ?? ETCD_PREFIX).all.key, countOnly: true });
      return new EtcdStore(client, Number(header?.revision ?? 1n), options);
    } catch (thrown) {
      client.close();
      throw thrown;
    }
  }

  async revision(): Promise<number> {
    this.#refuseWhenClosed();
    // One key alone, and that the one which is never there: asked for its header.
    const { header } = await this.#client.range({ key: this.#keys.all.key, countOnly: true });
    return Number(header?.revision ?? 0n);
  }

  async get(key: string): Promise<{ entry: StoreEntry | undefined; revision: number }> {
    this.#refuseWhenClosed();
    const { kvs, header } = await this.#client.range({ key: this.#keys.encode(key) });
    return { entry: this.#firstOf(kvs), revision: Number(header?.revision ?? 0n) };
  }

  async range(prefix: string, options: RangeOptions = {}): Promise<StoreRange> {
    this.#refuseWhenClosed();
    const { key: first, rangeEnd } = this.#keys.range(prefix);
    const entries: StoreEntry[] = [];
    let { revision = 0, after } = options;
    for (;;) {
      const wanted = Math.min(PAGE_ENTRIES, (options.limit ?? Number.POSITIVE_INFINITY) - entries.length);
      const page = await this.#page(after === undefined ? first : this.#keys.after(after), rangeEnd, wanted, revision);
      revision = page.revision;
      entries.push(...page.entries);
      after = entries.at(-1)?.key ?? after;
      const remaining = page.count - page.entries.length;
      if (remaining === 0 || entries.length >= (options.limit ?? Number.POSITIVE_INFINITY)) {
        return { entries, revision, remaining };
      }
    }
  }

  async put(key: string, value: string, options: PutOptions = {}): Promise<WriteResult> {
    this.#refuseWhenClosed();
    checkWrite(key, value);
    const at = this.#keys.encode(key);
    const lease = options.ttlMs === undefined ? 0n : await this.#leaseFor(options.ttlMs);
    const { succeeded, header, responses } = await this.#write(at, options, [
      { request: { case: 'requestPut', value: { key: at, value: Buffer.from(value), lease } } },
      // What the put made of it, for the revision that created it.
      { request: { case: 'requestRange', value: { key: at, keysOnly: true } } },
    ]);
    if (!succeeded) return { written: false, current: this.#firstOf(rangeOf(responses[0])) };
    const revision = Number(header?.revision ?? 0n);
    const createRevision = Number(rangeOf(responses[1])[0]?.createRevision ?? header?.revision ?? 0n);
    const entry = this.#entries.keep({ key, value, createRevision, modRevision: revision });
    return { written: true, entry, revision };
  }

  async delete(key: string, options: WriteOptions = {}): Promise<WriteResult> {
    this.#refuseWhenClosed();
    const at = this.#keys.encode(key);
    const { succeeded, header, responses } = await this.#write(at, options, [
      { request: { case: 'requestDeleteRange', value: { key: at, prevKv: true } } },
    ]);
    if (!succeeded) return { written: false, current: this.#firstOf(rangeOf(responses[0])) };
    const removed = responses[0]?.response;
    const entry = removed?.case === 'responseDeleteRange' ? this.#firstOf(removed.value.prevKvs) : undefined;
    if (entry === undefined) return { written: false, current: undefined };
    return { written: true, entry, revision: Number(header?.revision ?? 0n) };
  }

  async *watch(
    prefix: string,
    afterRevision: number,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<StoreEvent | StoreProgress, void> {
    const signal =
      options.signal === undefined ? this.#stop.signal : AbortSignal.any([this.#stop.signal, options.signal]);
    if (signal.aborted) return;
    const newest = await this.revision().catch((thrown: unknown) => {
      if (signal.aborted) return undefined;
      throw thrown;
    });
    if (newest === undefined) return;
    if (afterRevision > newest) throw futureError(afterRevision, newest);
    let after = afterRevision;
    while (!signal.aborted) {
      for await (const change of this.#untilInHistory(prefix, after, signal)) {
        yield change;
        after = change.revision;
      }
      try {
        for await (const change of this.#history.follow(prefix, after, signal, true)) {
          yield change;
          after = change.revision;
        }
      } catch (thrown) {
        // Too slow for the history, which etcd itself may still have.
        if (!isCompacted(thrown) || after >= this.#history.compacted) throw thrown;
      }
    }
  }

  /** What etcd has above `after`, until the history goes on from there. */
  async *#untilInHistory(
    prefix: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<StoreEvent | StoreProgress, void> {
    if (after >= this.#history.compacted) return;
    for await (const change of this.#watchEtcd(prefix, after, signal)) {
      yield change;
      // At the end of what etcd sent in one go, so that changes of one revision stay together.
      if (change.type === 'progress' && change.revision >= this.#history.compacted) return;
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#history.close();
    this.#compactor.close();
    this.#client.close();
    await this.#following;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #page(
    key: Uint8Array,
    rangeEnd: Uint8Array,
    limit: number,
    revision: number,
  ): Promise<{ entries: StoreEntry[]; count: number; revision: number }> {
    try {
      const range = { key, rangeEnd, limit: BigInt(limit), revision: BigInt(revision), keysOnly: true };
      const { kvs, count, header } = await this.#client.range(range);
      const at = revision === 0 ? (header?.revision ?? 0n) : BigInt(revision);
      return { entries: await this.#entriesOf(kvs, at), count: Number(count), revision: Number(at) };
    } catch (thrown) {
      throw await this.#explain(thrown, revision);
    }
  }

  /** Most values of a long list are known by key and revision: only from the first to the last unknown one they are read. */
  async #entriesOf(kvs: readonly KeyValue[], revision: bigint): Promise<StoreEntry[]> {
    const known = kvs.map((kv) => this.#entries.find(kv));
    const [first, last] = [known.indexOf(undefined), known.lastIndexOf(undefined)];
    const [from, to] = [kvs[first]?.key, kvs[last]?.key];
    if (from === undefined || to === undefined) return known.flatMap((entry) => entry ?? []);
    const rangeEnd = Buffer.concat([to, Buffer.of(0)]);
    const unknown = await this.#client.range({ key: from, rangeEnd, revision });
    known.splice(first, last - first + 1, ...unknown.kvs.map((kv) => this.#entries.entryOf(kv)));
    return known.flatMap((entry) => entry ?? []);
  }

  /** In upstream's words. */
  async #explain(thrown: unknown, revision: number): Promise<unknown> {
    if (!(thrown instanceof ExecPathError)) return thrown;
    if (thrown.code === 'ERR_REVISION_COMPACTED') return compactedError(revision, this.#history.compacted);
    if (thrown.code === 'ERR_REVISION_FUTURE') return futureError(revision, await this.revision());
    return thrown;
  }

  #write(
    key: Uint8Array,
    { expectedRevision }: WriteOptions,
    success: MessageInitShape<typeof RequestOpSchema>[],
  ): ReturnType<EtcdClient['txn']> {
    const compare: MessageInitShape<typeof CompareSchema>[] =
      expectedRevision === undefined
        ? []
        : [
            {
              target: Compare_CompareTarget.MOD,
              key,
              targetUnion: { case: 'modRevision', value: BigInt(expectedRevision) },
            },
          ];
    return this.#client.txn({ compare, success, failure: [{ request: { case: 'requestRange', value: { key } } }] });
  }

  /** One for each key: keys of one lease would all go at one revision, and who watches could not tell them apart. */
  async #leaseFor(ttlMs: number): Promise<bigint> {
    const { id, error } = await this.#client.grantLease({ ttl: BigInt(Math.max(1, Math.ceil(ttlMs / 1000))) });
    if (error === '') return id;
    throw new ExecPathError('ERR_STORE_UNAVAILABLE', `etcd grants no lease: ${error}`, { hop: 'apiserver' });
  }

  #firstOf(kvs: readonly KeyValue[]): StoreEntry | undefined {
    const [kv] = kvs;
    return kv === undefined ? undefined : this.#entries.entryOf(kv);
  }

  #watchEtcd(prefix: string, after: number, signal: AbortSignal): AsyncGenerator<StoreEvent | StoreProgress, void> {
    const watch = new EtcdWatch(this.#client, this.#entries, this.#keys.range(prefix));
    return watch.follow(after, signal);
  }

  /** Fills the history for as long as the store is open. */
  async #follow(onProblem: (problem: Error) => void): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        for await (const change of this.#watchEtcd('/registry/', this.#history.revision, signal)) {
          if (change.type === 'progress') this.#history.advance(change.revision);
          else this.#history.append(change);
        }
      } catch (thrown) {
        if (signal.aborted) return;
        onProblem(toError(thrown));
        // What has been compacted meanwhile is not known: those who have not seen it must list again.
        const newest = await this.revision().catch(() => undefined);
        if (isCompacted(thrown) && newest !== undefined) this.#history.restart(newest);
        await delay(REWATCH_PAUSE_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  #refuseWhenClosed(): void {
    if (this.#stop.signal.aborted) throw new ExecPathError('ERR_STORE_CLOSED', 'the store is closed');
  }
}

function isCompacted(thrown: unknown): boolean {
  return thrown instanceof ExecPathError && thrown.code === 'ERR_REVISION_COMPACTED';
}

function rangeOf(operation: ResponseOp | undefined): readonly KeyValue[] {
  return operation?.response.case === 'responseRange' ? operation.response.value.kvs : [];
}

/** The store's keys begin with `/registry/`; in etcd another prefix may stand in its place. */
function keysUnder(prefix: string): EtcdKeys {
  const encode = (key: string): Uint8Array => {
    if (!key.startsWith('/registry/')) throw new TypeError(`a key begins with /registry/: ${key}`);
    return Buffer.from(prefix + key.slice(ETCD_PREFIX.length));
  };
  // The last byte of a prefix is a character of ASCII: the next one ends it.
  const endOf = (start: Uint8Array): Uint8Array => {
    const end = Uint8Array.from(start);
    end[end.length - 1] = (end.at(-1) ?? 0) + 1;
    return end;
  };
  const range = (start: string): EtcdKeys['all'] => ({ key: encode(start), rangeEnd: endOf(encode(start)) });
  return {
    encode,
    decode: (bytes) => ETCD_PREFIX + Buffer.from(bytes).toString().slice(prefix.length),
    range,
    after: (key) => Buffer.concat([encode(key), Buffer.of(0)]),
    all: range('/registry/'),
  };
}
