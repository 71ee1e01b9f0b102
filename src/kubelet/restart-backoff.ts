/** First wait before a container that ended is started again, in ms; doubles with each end. */
const FIRST_BACKOFF_MS = 10_000;

const MAX_BACKOFF_MS = 300_000;

/** A container that ran so long starts from the first wait again, in ms. */
const FORGIVEN_AFTER_MS = 600_000;

/** What a container that ended has to wait before it is started again. */
export interface RestartWait {
  /** What is left of the wait, in ms; 0 when it may start. */
  readonly remainingMs: number;
  /** The whole wait, in ms. */
  readonly waitMs: number;
  /** Nobody asked for this attempt before. */
  readonly isNew: boolean;
}

/** How long each container waits before it is started again, as upstream's CrashLoopBackOff. */
export class RestartBackoff {
  readonly #entries = new Map<string, { waitMs: number; readyAt: number }>();

  /**
   * A container ended at `endedAt` after it ran for `ranMs`.
   *
   * @param key names the container over all its attempts
   * @param attempt the attempt that ended; each counts once
   */
  waitOf(
    key: string,
    attempt: number,
    end: { readonly endedAt: number; readonly ranMs: number },
    now: number,
  ): RestartWait {
    const entryKey = `${key}/${attempt}`;
    let entry = this.#entries.get(entryKey);
    const isNew = entry === undefined;
    if (entry === undefined) {
      const before = this.#entries.get(`${key}/${attempt - 1}`);
      this.#entries.delete(`${key}/${attempt - 1}`);
      // The first end restarts at once, as upstream's does.
      const waitMs = attempt === 0 || end.ranMs > FORGIVEN_AFTER_MS ? 0 : nextWait(before?.waitMs ?? 0);
      entry = { waitMs, readyAt: end.endedAt + waitMs };
      this.#entries.set(entryKey, entry);
    }
    return { remainingMs: Math.max(0, entry.readyAt - now), waitMs: entry.waitMs, isNew };
  }

  /** The pod is gone: so are its waits. */
  forget(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key);
  }
}

function nextWait(waitMs: number): number {
  return waitMs === 0 ? FIRST_BACKOFF_MS : Math.min(waitMs * 2, MAX_BACKOFF_MS);
}
