import { readFileSync, writeFileSync } from 'node:fs';
import type { LinuxContainerResources } from '../../cri/index.ts';
import { type Cgroup, type CgroupUsage, limitWrites, unsetLimits } from '../cgroup/index.ts';
import type { PodCgroup } from './pod-cgroup.ts';

/** Nothing is limited: what a container without resources has. */
const UNLIMITED: Omit<LinuxContainerResources, '$typeName'> = {
  cpuPeriod: 0n,
  cpuQuota: 0n,
  cpuShares: 0n,
  memoryLimitInBytes: 0n,
  memorySwapLimitInBytes: 0n,
  oomScoreAdj: 0n,
  cpusetCpus: '',
  cpusetMems: '',
  hugepageLimits: [],
  unified: {},
};

export type Resources = Omit<LinuxContainerResources, '$typeName' | '$unknown'>;

/**
 * What one container may use: its cgroup while it runs, and how willingly the kernel kills it when memory is short.
 *
 * ```
 * planned ─begin→ there ─end→ planned
 * ```
 * Owns: the cgroup.
 */
export class ContainerCgroup {
  readonly #id: string;
  readonly #pod: PodCgroup | undefined;
  #resources: Resources;
  #group: Cgroup | undefined;
  /** Pid of the first process. */
  #first: number | undefined;

  /**
   * @param pod undefined where no cgroup can be made
   * @throws RuntimeCallError FailedPrecondition for a limit that nobody here can hold
   */
  constructor(id: string, pod: PodCgroup | undefined, resources: LinuxContainerResources | undefined) {
    this.#id = id;
    this.#pod = pod;
    this.#resources = { ...UNLIMITED, ...resources };
    this.#writes();
  }

  /** Path from the root of each hierarchy, or undefined where there are no cgroups. */
  get path(): string | undefined {
    return this.#pod?.of(this.#id).path;
  }

  /** What was wanted and is not set, in CRI's names. */
  get unset(): string[] {
    return unsetLimits(this.#resources, (controller) => this.#pod?.whole.versionOf(controller));
  }

  /** A process that writes `0` to each of these becomes a member. */
  get memberFiles(): readonly string[] {
    return this.#group?.memberFiles ?? [];
  }

  /**
   * Makes the cgroup with its limits and puts the first process in, which has no children yet.
   *
   * @throws Error of the system; RuntimeCallError
   */
  begin(pid: number): void {
    this.#first = pid;
    setOutOfMemoryScore(pid, this.#resources.oomScoreAdj);
    if (this.#pod === undefined) return;
    this.#group = this.#pod.make(this.#id);
    this.#group.set(this.#writes());
    this.#group.add(pid);
  }

  /** As {@link begin} did for the first process, when this runtime did not see it; it may have ended since. */
  adopt(first?: number): void {
    this.#first = first;
    const group = this.#pod?.of(this.#id);
    if (group?.exists === true) this.#group = group;
  }

  /**
   * Sets what is given and leaves the rest; all or nothing.
   *
   * @throws RuntimeCallError with what cannot be set
   */
  update(given: LinuxContainerResources): Resources {
    const before = this.#resources;
    this.#resources = merged(before, given);
    try {
      const writes = this.#writes();
      this.#group?.set(writes);
      if (given.oomScoreAdj !== 0n) this.#scoreProcesses();
      return this.#resources;
    } catch (thrown) {
      this.#resources = before;
      throw thrown;
    }
  }

  /** Pids of its processes; undefined when it does not run, or nobody holds them together. */
  members(): number[] | undefined {
    return this.#group?.members();
  }

  /** What it uses; undefined when it does not run, or nobody counts. */
  usage(): CgroupUsage | undefined {
    return this.#group?.usage();
  }

  /**
   * Ends whatever is still in it, and removes it.
   *
   * @returns whether the kernel killed in it because the memory was all used
   */
  async end(): Promise<boolean> {
    const wasOutOfMemory = (this.#group?.outOfMemoryKills() ?? 0) > 0;
    this.#group = undefined;
    this.#first = undefined;
    await this.#pod?.remove(this.#id);
    return wasOutOfMemory;
  }

  /** Who forks passes it on. Where nobody holds the processes together it is the first one's, and of each exec after it. */
  #scoreProcesses(): void {
    const pids = this.#group?.members() ?? (this.#first === undefined ? [] : [this.#first]);
    for (const pid of pids) setOutOfMemoryScore(pid, this.#resources.oomScoreAdj);
  }

  #writes() {
    return limitWrites(this.#resources, (controller) => this.#pod?.whole.versionOf(controller));
  }
}

/** Fields that are given replace those before. */
function merged(before: Resources, given: Resources): Resources {
  const set = Object.entries(given).filter(([name, value]) => {
    return name in before && value !== 0n && value !== '' && !(Array.isArray(value) && value.length === 0);
  });
  return { ...before, ...Object.fromEntries(set), unified: { ...before.unified, ...given.unified } };
}

/**
 * A value below our own takes CAP_SYS_RESOURCE; without it the process keeps what it has from us, as containerd's
 * `restrict_oom_score_adj` does it.
 */
function setOutOfMemoryScore(pid: number, score: bigint): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(score));
  } catch (thrown) {
    // ENOENT, ESRCH: it has ended.
    if (!['EACCES', 'ENOENT', 'ESRCH'].includes((thrown as NodeJS.ErrnoException).code ?? '')) throw thrown;
  }
}

/** What the process has, whatever was wanted; empty when it is gone. */
export function outOfMemoryScoreOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/oom_score_adj`, 'latin1').trim();
  } catch {
    return '';
  }
}
