import { setTimeout as delay } from 'node:timers/promises';
import { compactedError } from './change-history.ts';
import type { EtcdClient } from './etcd-client.ts';
import type { EntryCache, EtcdKeys } from './etcd-entries.ts';
import { EtcdCallError } from './etcd-error.ts';
import { type Event, Event_EventType, type WatchResponse } from './gen/etcd/v3/etcd_pb.ts';
import type { StoreEvent, StoreProgress } from './store.ts';

/** Between two attempts, in ms. */
const RECONNECT_PAUSE_MS = 100;

/**
 * A watch of a range that outlives its servers: behind a connection that is lost it goes on with another server where it
 * was.
 */
export class EtcdWatch {
  readonly #client: EtcdClient;
  readonly #entries: EntryCache;
  readonly #range: EtcdKeys['all'];

  constructor(client: EtcdClient, entries: EntryCache, range: EtcdKeys['all']) {
    this.#client = client;
    this.#entries = entries;
    this.#range = range;
  }

  /**
   * Changes above `after`, in order; a progress behind what came in one go, and when etcd says that nothing changed.
   *
   * @throws ExecPathError ERR_REVISION_COMPACTED
   */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<StoreEvent | StoreProgress, void> {
    let seen = after;
    while (!signal.aborted) {
      try {
        for await (const batch of this.#batches(seen, signal)) {
          yield* batch.events;
          seen = Math.max(seen, batch.revision);
          yield { type: 'progress', revision: seen };
        }
      } catch (thrown) {
        if (signal.aborted) return;
        if (!(thrown instanceof EtcdCallError) || thrown.code === 'ERR_REVISION_COMPACTED') throw thrown;
      }
      // The server ended it, as when it stops: another one goes on.
      await delay(RECONNECT_PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** What one stream brings. Its parts are put together: a revision is seen as a whole or not at all. */
  async *#batches(
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<{ readonly events: readonly StoreEvent[]; readonly revision: number }, void> {
    const request = {
      ...this.#range,
      startRevision: BigInt(after + 1),
      progressNotify: true,
      prevKv: true,
      fragment: true,
    };
    let parts: Event[] = [];
    for await (const answer of this.#client.watch(request, signal)) {
      if (answer.compactRevision !== 0n) throw compactedError(after, Number(answer.compactRevision));
      if (answer.canceled) return;
      parts.push(...answer.events);
      if (answer.fragment || answer.created) continue;
      const events = parts.map((event) => this.#read(event));
      parts = [];
      yield { events, revision: events.at(-1)?.revision ?? progressOf(answer) };
    }
  }

  #read({ type, kv, prevKv }: Event): StoreEvent {
    const revision = Number(kv?.modRevision ?? 0n);
    if (kv === undefined) throw new TypeError('an event of etcd has no key');
    const previous = prevKv === undefined ? undefined : this.#entries.entryOf(prevKv);
    if (type === Event_EventType.DELETE) {
      // What was removed is compacted, and so is what came before.
      if (previous === undefined) throw compactedError(revision - 1, revision);
      this.#entries.forget(previous.key);
      return { type: 'delete', revision, previous };
    }
    if (previous === undefined && kv.createRevision !== kv.modRevision) throw compactedError(revision - 1, revision);
    const entry = this.#entries.entryOf(kv);
    return { type: 'put', revision, entry, ...(previous && { previous }) };
  }
}

/** etcd tells a watch that has seen all changes how far that is. */
function progressOf({ header }: WatchResponse): number {
  return Number(header?.revision ?? 0n);
}
