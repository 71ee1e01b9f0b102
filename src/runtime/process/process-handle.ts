import { setTimeout as delay } from 'node:timers/promises';
import { readProcess } from './process-table.ts';

const LONGEST_LOOK_MS = 50;

/** One process, by pid and start together: whoever gets its pid later is not taken for it. */
export class ProcessHandle {
  readonly pid: number;
  readonly #startTicks: number | undefined;

  /** @param pid of one that is alive now, or else it never will be */
  constructor(pid: number) {
    this.pid = pid;
    this.#startTicks = readProcess(pid)?.startTicks;
  }

  get isAlive(): boolean {
    const entry = readProcess(this.pid);
    return entry !== undefined && !entry.isZombie && entry.startTicks === this.#startTicks;
  }

  kill(): void {
    try {
      if (this.isAlive) process.kill(this.pid, 'SIGKILL');
    } catch {
      // ESRCH: it has ended.
    }
  }

  /** @returns whether it ended within `deadlineMs` */
  async gone(deadlineMs: number): Promise<boolean> {
    const deadline = performance.now() + deadlineMs;
    for (let wait = 1; this.isAlive; wait = Math.min(wait * 2, LONGEST_LOOK_MS)) {
      if (performance.now() > deadline) return false;
      await delay(wait);
    }
    return true;
  }
}
