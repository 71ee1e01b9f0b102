import { ExecPathError } from '../common/errors.ts';
import type { StoreEntry, StoreEvent, StoreProgress } from './store.ts';

/** Changes kept for watches. A watch that falls further behind must list again. */
export const HISTORY_EVENTS = 10_000;

/** Bytes of values that the kept changes may hold. */
export const HISTORY_BYTES = 64 * 1024 * 1024;

export interface RevisionHistoryOptions {
  /**
   * The revision before the first write; default 1, for 0 means "any" in a resourceVersion. A store that forgets all
   * when its process ends begins with the time instead: versions that clients have kept are then too old, never wrong.
   */
  readonly firstRevision?: number;
  /** Changes kept; default {@link HISTORY_EVENTS}. */
  readonly historyEvents?: number;
  /** Bytes of values that they may hold; default {@link HISTORY_BYTES}. */
  readonly historyBytes?: number;
}

/**
 * The newest changes of a store, one a revision without a gap, and the readers who follow them.
 *
 * A reader holds only its place. Owns nothing: memory is bounded by {@link HISTORY_EVENTS} and {@link HISTORY_BYTES}.
 */
export class RevisionHistory {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  /** Slots of forgotten events are empty until they are cut off in one go. */
  #events: (StoreEvent | undefined)[] = [];
  /** Index in `#events` of the oldest event still held. */
  #oldest = 0;
  #bytes = 0;
  #revision: number;
  #closed = false;
  readonly #waiting = new Set<() => void>();

  constructor(options: RevisionHistoryOptions = {}) {
    this.#revision = options.firstRevision ?? 1;
    this.#maxEvents = options.historyEvents ?? HISTORY_EVENTS;
    this.#maxBytes = options.historyBytes ?? HISTORY_BYTES;
  }

  /** The newest revision. */
  get revision(): number {
    return this.#revision;
  }

  /** `event.revision` must be the next one. */
  append(event: StoreEvent): void {
    this.#events.push(event);
    this.#bytes += sizeOf(event);
    this.#revision = event.revision;
    this.#forget();
    this.#wakeAll();
  }

  /**
   * For each key under `prefix` that changed after `revision`: what it was then, undefined when it was absent.
   *
   * @throws ExecPathError ERR_REVISION_COMPACTED, ERR_REVISION_FUTURE
   */
  stateBefore(prefix: string, revision: number): Map<string, StoreEntry | undefined> {
    this.#check(revision);
    const state = new Map<string, StoreEntry | undefined>();
    for (let at = this.#revision; at > revision; at -= 1) {
      const event = this.#eventAt(at);
      if (event !== undefined && keyOf(event).startsWith(prefix)) state.set(keyOf(event), event.previous);
    }
    return state;
  }

  /** @see Store.watch */
  async *follow(
    prefix: string,
    afterRevision: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<StoreEvent | StoreProgress, void> {
    let seen = afterRevision;
    let told = afterRevision;
    for (;;) {
      if (this.#closed || signal?.aborted === true) return;
      this.#check(seen);
      if (seen === this.#revision) {
        if (told < seen) yield { type: 'progress', revision: seen };
        told = seen;
        if (seen === this.#revision) await this.#nextChange(signal);
        continue;
      }
      seen += 1;
      const event = this.#eventAt(seen);
      if (event === undefined || !keyOf(event).startsWith(prefix)) continue;
      told = seen;
      yield event;
    }
  }

  /** Ends every reader. */
  close(): void {
    this.#closed = true;
    this.#wakeAll();
  }

  #nextChange(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed || signal?.aborted === true) {
        resolve();
        return;
      }
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal?.addEventListener('abort', wake);
    });
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }

  #forget(): void {
    while (this.#events.length - this.#oldest > this.#maxEvents || this.#bytes > this.#maxBytes) {
      const event = this.#events[this.#oldest];
      if (event === undefined) break;
      this.#bytes -= sizeOf(event);
      this.#events[this.#oldest] = undefined;
      this.#oldest += 1;
    }
    // Shifting one at a time would move the whole array at every write.
    if (this.#oldest > this.#maxEvents || this.#oldest === this.#events.length) {
      this.#events = this.#events.slice(this.#oldest);
      this.#oldest = 0;
    }
  }

  /** The lowest revision whose later changes are all held. */
  get #compacted(): number {
    return this.#revision - (this.#events.length - this.#oldest);
  }

  #eventAt(revision: number): StoreEvent | undefined {
    return this.#events[this.#oldest + revision - this.#compacted - 1];
  }

  #check(revision: number): void {
    if (revision < this.#compacted) {
      throw new ExecPathError('ERR_REVISION_COMPACTED', `too old resource version: ${revision} (${this.#compacted})`);
    }
    if (revision > this.#revision) {
      throw new ExecPathError(
        'ERR_REVISION_FUTURE',
        `Too large resource version: ${revision}, current: ${this.#revision}`,
      );
    }
  }
}

function keyOf(event: StoreEvent): string {
  return event.type === 'put' ? event.entry.key : event.previous.key;
}

/** In UTF-16 units, which is near enough to bytes for JSON. Both versions count: either may be held by this event alone. */
function sizeOf(event: StoreEvent): number {
  return (event.type === 'put' ? event.entry.value.length : 0) + (event.previous?.value.length ?? 0);
}
