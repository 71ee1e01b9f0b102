import diagnostics from 'node:diagnostics_channel';
import { setTimeout as delay } from 'node:timers/promises';
import { ProcessLook } from './process-look.ts';
import { listPids, readEnvironment, readProcess, ticksSinceBoot } from './process-table.ts';
import { sessionsIn } from './session-variable.ts';

/** Processes that even SIGKILL does not end (they hang in the kernel) are given up after this long, in ms. */
const KILL_DEADLINE_MS = 5_000;
const FIRST_LOOK_MS = 2;
const LONGEST_LOOK_MS = 50;
/** Younger than this, in ticks, a tree can only hold pids given out since its first process: they have not come round. */
const YOUNG_TICKS = 200;
/** How often one that waits for nobody any more is looked at before it is killed: about 0.2 s. */
const LOOKS_FOR_ROOT = 8;
/** How often an empty look is repeated because somebody ended meanwhile. */
const MAX_LOOKS = 4;
/** Gets `{ marker, pids }` when processes outlived {@link ProcessTree.kill}. */
const leftBehind = diagnostics.channel('podwire:runtime:left-behind');

export interface ProcessTreeOptions {
  /**
   * The first process only waits for its child in another pid namespace. It is signalled last: nobody in there reaps a
   * child that it leaves behind.
   */
  readonly isRootWaiting?: boolean;
}

/**
 * All processes that come from one: its descendants, whoever is in its session, and whoever carries its marker in the
 * environment, as daemons do that left both parent and session behind. What did all three (new session, new parent,
 * cleared environment) is not found; only a pid namespace or cgroup could hold that.
 */
export class ProcessTree {
  readonly #root: number | undefined;
  readonly #marker: string;
  readonly #startTicks: number;
  readonly #isRootWaiting: boolean;
  #rootEndedTicks: number | undefined;

  /**
   * @param root pid of the first process, which must be alive or unreaped now; undefined for all that are marked
   * @param marker the value of {@link SESSION_VARIABLE} in its environment; values that go on with a `/` count too
   */
  constructor(root: number | undefined, marker: string, options: ProcessTreeOptions = {}) {
    this.#root = root;
    this.#marker = marker;
    this.#isRootWaiting = options.isRootWaiting === true;
    this.#startTicks = root === undefined ? 0 : (readProcess(root)?.startTicks ?? 0);
  }

  /** From now on another process may get the first one's pid. */
  rootEnded(): void {
    this.#rootEndedTicks ??= ticksSinceBoot() + 1;
  }

  /** The processes that live now, the first one included. Costs one small file per process on the machine at most. */
  async members(): Promise<number[]> {
    let look = await this.#look();
    // Whoever forked and ended while we looked may have a child that was not there yet when we began.
    for (let looks = 1; look.found.length === 0 && look.haveVanished && looks < MAX_LOOKS; looks += 1) {
      look = await this.#look();
    }
    return look.found;
  }

  async #look(): Promise<{ readonly found: number[]; readonly haveVanished: boolean }> {
    const root = this.#root;
    const isYoung = ticksSinceBoot() - this.#startTicks <= YOUNG_TICKS;
    const look = await ProcessLook.take(isYoung ? root : undefined);
    const found = new Set<number>();
    const isPossible = (pid: number): boolean => (look.entry(pid)?.startTicks ?? -1) >= this.#startTicks;
    // Parents first: one whose child is killed before it may end with a code of its own.
    const queue = [...(root === undefined ? [] : this.#ofRoot(root, look)), ...look.marked(this.#marker)];
    for (const pid of queue) {
      if (found.has(pid) || !isPossible(pid)) continue;
      found.add(pid);
      queue.push(...look.childrenOf(pid), ...look.inSession(pid));
    }
    return { found: [...found], haveVanished: look.haveVanished };
  }

  /** The first process and its session; after its end the pid may be another's. */
  #ofRoot(root: number, look: ProcessLook): readonly number[] {
    const ended = this.#rootEndedTicks;
    if (ended === undefined) return [root, ...look.inSession(root)];
    return look.inSession(root).filter((pid) => (look.entry(pid)?.startTicks ?? ended) < ended);
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
    const deadline = performance.now() + graceMs;
    const told = new Set<number>();
    for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 2, LONGEST_LOOK_MS)) {
      const members = await this.members();
      if (members.length === 0) return [];
      // Those who were forked while we looked have not heard it yet.
      const untold = this.#targets(members).filter((pid) => !told.has(pid));
      this.signal('SIGHUP', untold);
      this.signal('SIGCONT', untold);
      for (const pid of untold) told.add(pid);
      const remaining = deadline - performance.now();
      if (remaining <= 0) return this.kill();
      await delay(Math.min(wait, remaining));
    }
  }

  /**
   * SIGKILL to all until none is left, however fast they fork.
   *
   * @returns the pids that live on after {@link KILL_DEADLINE_MS}: none, unless the kernel holds them
   */
  async kill(): Promise<number[]> {
    const deadline = performance.now() + KILL_DEADLINE_MS;
    let left = await this.members();
    let alone = 0;
    for (let wait = FIRST_LOOK_MS; left.length > 0; wait = Math.min(wait * 2, LONGEST_LOOK_MS)) {
      if (performance.now() > deadline) {
        leftBehind.publish({ marker: this.#marker, pids: left });
        return left;
      }
      const targets = this.#targets(left);
      const isAlone = this.#isRootWaiting && targets[0] === this.#root;
      alone = isAlone ? alone + 1 : 0;
      // With nobody left to wait for, it ends by itself.
      if (!isAlone || alone > LOOKS_FOR_ROOT) this.signal('SIGKILL', targets);
      await delay(wait);
      left = await this.members();
    }
    return [];
  }

  #targets(members: readonly number[]): readonly number[] {
    if (!this.#isRootWaiting) return members;
    const inside = members.filter((pid) => pid !== this.#root);
    return inside.length > 0 ? inside : members;
  }
}

/** Mark of the tools that a program of ours runs for a moment: who comes after it ends those that outlived it. */
export function toolMarker(pid = process.pid, startTicks = readProcess(pid)?.startTicks ?? 0): string {
  return `podwire-tool-${pid}-${startTicks}`;
}

/** A process with a mark of ours. */
export interface MarkedProcess {
  readonly pid: number;
  readonly parent: number;
  /** The value of {@link SESSION_VARIABLE}. */
  readonly session: string;
}

/** All living processes whose mark begins with `prefix`. */
export function markedProcesses(prefix: string): MarkedProcess[] {
  return listPids().flatMap((pid) => {
    const session = sessionOf(pid);
    if (session === undefined || !session.startsWith(prefix)) return [];
    const entry = readProcess(pid);
    return entry === undefined || entry.isZombie ? [] : [{ pid, parent: entry.parent, session }];
  });
}

/** The mark that `pid` was started with. */
export function sessionOf(pid: number): string | undefined {
  return sessionsIn(readEnvironment(pid)).next().value ?? undefined;
}

/** SIGHUP to all processes that carry `marker`, SIGKILL to those that are left after `graceMs`. */
export async function hangUpMarked(marker: string, graceMs: number): Promise<void> {
  await new ProcessTree(undefined, marker).hangUp(graceMs);
}

/** Kills all processes that carry `marker`, such as those of a program that was killed itself. */
export async function killMarked(marker: string): Promise<void> {
  await new ProcessTree(undefined, marker).kill();
}
