import { setTimeout as delay } from 'node:timers/promises';
import { listPids, newestPid, type ProcessEntry, readEnvironment, readProcess } from './process-table.ts';
import { sessionsIn } from './session-variable.ts';

/** A program is loaded, and its environment can be read, well within this time, in ms. */
const EXECVE_MS = 3;
/** Parent of all kernel threads, which have no environment. */
const KERNEL_THREADS = 2;
/** Processes looked at before others get a turn of the event loop. */
const LOOK_AT_ONCE = 64;

/** The look that begins when the one under way is over, and how far back it goes. */
let next: { readonly look: Promise<ProcessLook>; readonly since: Set<number | undefined> } | undefined;
let underWay: Promise<unknown> = Promise.resolve();

/**
 * The processes of this machine at one moment, by parent, session and mark; zombies and this process are left out.
 * A look costs two small files for each process, so whoever asks while one is under way shares the next with all others:
 * it begins after they asked.
 */
export class ProcessLook {
  /** Somebody ended while we looked, and may have a child that was not there yet when we began. */
  readonly haveVanished: boolean;
  readonly #entries = new Map<number, ProcessEntry>();
  readonly #children = new Map<number, number[]>();
  readonly #inSession = new Map<number, number[]>();
  readonly #marked = new Map<string, number[]>();

  private constructor(found: readonly (readonly [ProcessEntry, Buffer])[], haveVanished: boolean) {
    this.haveVanished = haveVanished;
    for (const [entry, environment] of found) {
      this.#entries.set(entry.pid, entry);
      put(this.#children, entry.parent, entry.pid);
      put(this.#inSession, entry.session, entry.pid);
      for (const mark of marksIn(environment)) put(this.#marked, mark, entry.pid);
    }
  }

  /**
   * Looks at all processes, or at those at most.
   *
   * @param since pid of one that is younger than the time in which pids come round: nobody before it matters
   */
  static take(since?: number): Promise<ProcessLook> {
    if (next === undefined) {
      const all = new Set<number | undefined>();
      const look = underWay.then(() => {
        next = undefined;
        const begun = ProcessLook.#since(all);
        underWay = begun.catch(() => undefined);
        return begun;
      });
      next = { look, since: all };
    }
    next.since.add(since);
    return next.look;
  }

  static async #since(since: ReadonlySet<number | undefined>): Promise<ProcessLook> {
    const found: (readonly [ProcessEntry, Buffer])[] = [];
    const undecided: ProcessEntry[] = [];
    let haveVanished = false;
    // Asked first: who is started while we list is nobody's yet.
    const newest = newestPid();
    for (const [index, pid] of pidsSince(listPids(), since, newest).entries()) {
      if ((index + 1) % LOOK_AT_ONCE === 0) await new Promise(setImmediate);
      const entry = readProcess(pid);
      if (entry === undefined) haveVanished = true;
      if (entry === undefined || entry.isZombie || pid === process.pid) continue;
      const environment = readEnvironment(pid);
      // It may be in the middle of execve(2).
      if (environment.length === 0 && entry.parent !== KERNEL_THREADS) undecided.push(entry);
      else found.push([entry, environment]);
    }
    if (undecided.length > 0) {
      await delay(EXECVE_MS);
      for (const entry of undecided) found.push([entry, readEnvironment(entry.pid)]);
    }
    return new ProcessLook(found, haveVanished);
  }

  /** undefined for one that is not there, or was not looked at. */
  entry(pid: number): ProcessEntry | undefined {
    return this.#entries.get(pid);
  }

  childrenOf(pid: number): readonly number[] {
    return this.#children.get(pid) ?? [];
  }

  /** @param leader pid of the session's first process */
  inSession(leader: number): readonly number[] {
    return this.#inSession.get(leader) ?? [];
  }

  /** Those whose mark is `marker`, or goes on from it with a `/`. */
  marked(marker: string): readonly number[] {
    return this.#marked.get(marker) ?? [];
  }
}

/**
 * Those of `pids` that were given out since any of `since`; undefined stands for all. Pids come round: one that is above
 * the newest was given out before the lowest were.
 */
export function pidsSince(
  pids: readonly number[],
  since: ReadonlySet<number | undefined>,
  newest: number | undefined,
): readonly number[] {
  if (since.has(undefined) || newest === undefined) return pids;
  const firsts = [...since].filter((pid) => pid !== undefined);
  const round = Math.min(...firsts.filter((pid) => pid > newest));
  const first = Number.isFinite(round) ? 0 : Math.min(...firsts);
  return pids.filter((pid) => (pid >= first && pid <= newest) || pid >= round);
}

/** `a/b/c` is marked as `a`, `a/b` and `a/b/c`. */
function marksIn(environment: Buffer): Set<string> {
  const marks = new Set<string>();
  for (const session of sessionsIn(environment)) {
    for (let end = session.indexOf('/'); end !== -1; end = session.indexOf('/', end + 1))
      marks.add(session.slice(0, end));
    marks.add(session);
  }
  return marks;
}

function put<Key>(map: Map<Key, number[]>, key: Key, pid: number): void {
  const pids = map.get(key);
  if (pids === undefined) map.set(key, [pid]);
  else pids.push(pid);
}
