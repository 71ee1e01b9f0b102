import { ExecPathError } from '../common/errors.ts';
import type { StoreEntry, StoreEvent, StoreProgress } from './store.ts';

/** Changes kept for watches. A watch that falls further behind must list again. */
export const HISTORY_EVENTS = 10_000;

/** Bytes of values that the kept changes may hold. */
export const HISTORY_BYTES = 64 * 1024 * 1024;

export interface ChangeHistoryOptions {
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
 * The newest changes of a store, and the readers who follow them. Revisions rise; between two of them may lie others
 * that changed nothing here.
 *
 * A reader holds only its place. Owns nothing: memory is bounded by {@link HISTORY_EVENTS} and {@link HISTORY_BYTES}.
 */
export class ChangeHistory {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  /** Slots of forgotten events are empty until they are cut off in one go. */
  #events: (StoreEvent | undefined)[] = [];
  /** Index in `#events` of the oldest event still held. */
  #oldest = 0;
  /** How many events were cut off: the place of `#events[0]` since the beginning. */
  #cutOff = 0;
  #bytes = 0;
  #revision: number;
  #compacted: number;
  #closed = false;
  readonly #waiting = new Set<() => void>();

  constructor(options: ChangeHistoryOptions = {}) {
    this.#revision = options.firstRevision ?? 1;
    this.#compacted = this.#revision;
    this.#maxEvents = options.historyEvents ?? HISTORY_EVENTS;
    this.#maxBytes = options.historyBytes ?? HISTORY_BYTES;
  }

  /** The newest revision. */
  get revision(): number {
    return this.#revision;
  }

  /** The lowest revision whose later changes are all held. */
  get compacted(): number {
    return this.#compacted;
  }

  /** `event.revision` is no lower than the newest. */
  append(event: StoreEvent): void {
    this.#events.push(event);
    this.#bytes += sizeOf(event);
    this.#revision = event.revision;
    this.#forget();
    this.#wakeAll();
  }

  /** Nothing has changed up to `revision`; one below the newest changes nothing. */
  advance(revision: number): void {
    if (revision <= this.#revision) return;
    this.#revision = revision;
    this.#wakeAll();
  }

  /** Forgets all: what lies between is not known. Readers that are not yet at `revision` fall out. */
  restart(revision: number): void {
    this.#cutOff += this.#events.length + 1;
    this.#events = [];
    this.#oldest = 0;
    this.#bytes = 0;
    this.#revision = revision;
    this.#compacted = revision;
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
    for (let at = this.#events.length - 1; at >= this.#oldest; at -= 1) {
      const event = this.#events[at];
      if (event === undefined || event.revision <= revision) break;
      if (keyOf(event).startsWith(prefix)) state.set(keyOf(event), event.previous);
    }
    return state;
  }

  /**
   * @param mayBeAhead `afterRevision` may be one that has not come here yet
   * @see Store.watch
   */
  async *follow(
    prefix: string,
    afterRevision: number,
    signal: AbortSignal | undefined,
    mayBeAhead = false,
  ): AsyncGenerator<StoreEvent | StoreProgress, void> {
    if (this.#isOver(signal)) return;
    // A store of several processes has been elsewhere before its history is.
    if (!mayBeAhead) this.#check(afterRevision);
    else if (afterRevision < this.#compacted) throw compactedError(afterRevision, this.#compacted);
    let place = this.#placeAfter(afterRevision);
    let told = afterRevision;
    for (;;) {
      if (this.#isOver(signal)) return;
      if (place < this.#cutOff + this.#oldest) throw compactedError(told, this.#compacted);
      const event = this.#events[place - this.#cutOff];
      if (event === undefined) {
        const revision = this.#revision;
        if (told < revision) yield { type: 'progress', revision };
        told = revision;
        if (place === this.#cutOff + this.#events.length && revision === this.#revision) await this.nextChange(signal);
        continue;
      }
      place += 1;
      if (!keyOf(event).startsWith(prefix) || event.revision <= afterRevision) continue;
      told = event.revision;
      yield event;
    }
  }

  /** Settles at the next change or progress, at the latest when the history closes or `signal` aborts. */
  nextChange(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isOver(signal)) {
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

  /** Ends every reader. */
  close(): void {
    this.#closed = true;
    this.#wakeAll();
  }

  #isOver(signal: AbortSignal | undefined): boolean {
    return this.#closed || signal?.aborted === true;
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }

  #forget(): void {
    while (this.#events.length - this.#oldest > this.#maxEvents || this.#bytes > this.#maxBytes) {
      const event = this.#events[this.#oldest];
      if (event === undefined) break;
      this.#bytes -= sizeOf(event);
      this.#compacted = event.revision;
      this.#events[this.#oldest] = undefined;
      this.#oldest += 1;
    }
    // Shifting one at a time would move the whole array at every write.
    if (this.#oldest > this.#maxEvents || this.#oldest === this.#events.length) {
      this.#events = this.#events.slice(this.#oldest);
      this.#cutOff += this.#oldest;
      this.#oldest = 0;
    }
  }

  /** The place of the first held event above `revision`. */
  #placeAfter(revision: number): number {
    let low = this.#oldest;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#cutOff + low;
  }

  #check(revision: number): void {
    if (revision < this.#compacted) throw compactedError(revision, this.#compacted);
    if (revision > this.#revision) throw futureError(revision, this.#revision);
  }
}

/** In upstream's words. */
export function compactedError(revision: number, compacted: number): ExecPathError {
  return new ExecPathError('ERR_REVISION_COMPACTED', `too old resource version: ${revision} (${compacted})`);
}

/** In upstream's words. */
export function futureError(revision: number, newest: number): ExecPathError {
  return new ExecPathError('ERR_REVISION_FUTURE', `Too large resource version: ${revision}, current: ${newest}`);
}

function keyOf(event: StoreEvent): string {
  return event.type === 'put' ? event.entry.key : event.previous.key;
}

/** In UTF-16 units, which is near enough to bytes for JSON. Both versions count: either may be held by this event alone. */
function sizeOf(event: StoreEvent): number {
  return (event.type === 'put' ? event.entry.value.length : 0) + (event.previous?.value.length ?? 0);
}
