import diagnostics from 'node:diagnostics_channel';
import { setTimeout as delay } from 'node:timers/promises';
import {
  listPids,
  newestPid,
  type ProcessEntry,
  readEnvironment,
  readProcess,
  ticksSinceBoot,
} from './process-table.ts';

/** The environment variable that tells which session a process belongs to. Children inherit it. */
export const SESSION_VARIABLE = 'PODWIRE_SESSION';

/** Processes that even SIGKILL does not end (they hang in the kernel) are given up after this long, in ms. */
const KILL_DEADLINE_MS = 5_000;
const FIRST_LOOK_MS = 2;
const LONGEST_LOOK_MS = 50;
/** Younger than this, in ticks, a tree can only hold pids given out since its first process: they have not come round. */
const YOUNG_TICKS = 200;
/** Processes looked at before others get a turn of the event loop. */
const LOOK_AT_ONCE = 64;

/** Gets `{ marker, pids }` when processes outlived {@link ProcessTree.kill}. */
const leftBehind = diagnostics.channel('podwire:runtime:left-behind');

/**
 * All processes that come from one: its descendants, whoever is in its session, and whoever carries its marker in the
 * environment, as daemons do that left both parent and session behind. What did all three (new session, new parent,
 * cleared environment) is not found; only a pid namespace or cgroup could hold that.
 */
export class ProcessTree {
  readonly #root: number | undefined;
  readonly #marker: string;
  readonly #startTicks: number;
  #rootEndedTicks: number | undefined;

  /**
   * @param root pid of the first process, which must be alive or unreaped now; undefined for all that are marked
   * @param marker the value of {@link SESSION_VARIABLE} in its environment; values that go on with a `/` count too
   */
  constructor(root: number | undefined, marker: string) {
    this.#root = root;
    this.#marker = marker;
    this.#startTicks = root === undefined ? 0 : (readProcess(root)?.startTicks ?? 0);
  }

  /** From now on another process may get the first one's pid. */
  rootEnded(): void {
    this.#rootEndedTicks ??= ticksSinceBoot() + 1;
  }

  /** The processes that live now, the first one included. Costs one small file per process on the machine at most. */
  async members(): Promise<number[]> {
    const entries: ProcessEntry[] = [];
    let looked = 0;
    for (const pid of this.#candidates()) {
      if (++looked % LOOK_AT_ONCE === 0) await new Promise(setImmediate);
      const entry = readProcess(pid);
      if (entry === undefined || entry.isZombie || pid === process.pid) continue;
      if (entry.startTicks >= this.#startTicks) entries.push(entry);
    }
    const found = new Set(entries.filter((entry) => this.#isMember(entry)).map((entry) => entry.pid));
    for (let before = -1; before !== found.size; ) {
      before = found.size;
      for (const entry of entries) if (found.has(entry.parent) || found.has(entry.session)) found.add(entry.pid);
    }
    return [...found];
  }

  /** Sends `signal` to each of `pids`; those that are gone by now do not matter. */
  signal(signal: NodeJS.Signals | number, pids: readonly number[]): void {
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
      } catch {
        // ESRCH: gone. EPERM: became another user; the next round of kill() reports it.
      }
    }
  }

  /**
   * SIGHUP to all, and SIGCONT so that stopped jobs notice; after `graceMs` whoever is left is killed.
   *
   * @returns as {@link kill}
   */
  async hangUp(graceMs: number): Promise<number[]> {
    const members = await this.members();
    if (members.length === 0) return [];
    this.signal('SIGHUP', members);
    this.signal('SIGCONT', members);
    return (await this.#empty(graceMs)) ? [] : this.kill();
  }

  /**
   * SIGKILL to all until none is left, however fast they fork.
   *
   * @returns the pids that live on after {@link KILL_DEADLINE_MS}: none, unless the kernel holds them
   */
  async kill(): Promise<number[]> {
    const deadline = performance.now() + KILL_DEADLINE_MS;
    let left = await this.members();
    if (left.length === 0) return [];
    // A process in the middle of execve(2) shows no environment for a moment, so one empty look is not enough.
    let emptyLooks = 0;
    for (let wait = FIRST_LOOK_MS; emptyLooks < 2; wait = Math.min(wait * 2, LONGEST_LOOK_MS)) {
      if (performance.now() > deadline) {
        leftBehind.publish({ marker: this.#marker, pids: left });
        return left;
      }
      this.signal('SIGKILL', left);
      await delay(wait);
      left = await this.members();
      emptyLooks = left.length === 0 ? emptyLooks + 1 : 0;
    }
    return [];
  }

  /** Waits until nothing is left, for `withinMs` at most. */
  async #empty(withinMs: number): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 2, LONGEST_LOOK_MS)) {
      if ((await this.members()).length === 0) return true;
      const remaining = deadline - performance.now();
      if (remaining <= 0) return false;
      await delay(Math.min(wait, remaining));
    }
  }

  #candidates(): number[] {
    const newest = newestPid();
    const pids = listPids();
    const root = this.#root;
    if (root === undefined || newest === undefined) return pids;
    if (ticksSinceBoot() - this.#startTicks > YOUNG_TICKS) return pids;
    const since = (pid: number): boolean =>
      newest >= root ? pid >= root && pid <= newest : pid >= root || pid <= newest;
    return pids.filter(since);
  }

  #isMember(entry: ProcessEntry): boolean {
    if (this.#root === undefined) return this.#isMarked(readEnvironment(entry.pid));
    if (this.#rootEndedTicks === undefined) {
      if (entry.pid === this.#root || entry.session === this.#root) return true;
    } else if (entry.session === this.#root && entry.startTicks < this.#rootEndedTicks) return true;
    return this.#isMarked(readEnvironment(entry.pid));
  }

  #isMarked(environment: Buffer): boolean {
    const text = `${SESSION_VARIABLE}=${this.#marker}`;
    for (let at = environment.indexOf(text); at !== -1; at = environment.indexOf(text, at + 1)) {
      const before = at === 0 ? 0 : environment[at - 1];
      const after = environment[at + text.length];
      if (before === 0 && (after === 0 || after === 0x2f || after === undefined)) return true;
    }
    return false;
  }
}

/** Kills all processes that carry `marker`, such as those of a program that was killed itself. */
export async function killMarked(marker: string): Promise<void> {
  await new ProcessTree(undefined, marker).kill();
}
