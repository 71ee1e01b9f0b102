import { readFileSync } from 'node:fs';
import type { Cgroup } from './cgroup.ts';

/** From here on a limit of version 1 means none: it is the largest number of pages. */
const NO_LIMIT = 1n << 60n;

export interface MemoryUsage {
  readonly usageBytes: bigint;
  /** Without what of the files' cache the kernel would give back first. */
  readonly workingSetBytes: bigint;
  /** Up to the limit; absent without one. */
  readonly availableBytes: bigint | undefined;
  readonly rssBytes: bigint;
  readonly pageFaults: bigint;
  readonly majorPageFaults: bigint;
}

/** What the processes of a cgroup and of those below it use; absent where no controller counts it. */
export interface CgroupUsage {
  /** Since it was made, of ended processes too. */
  readonly cpuNs: bigint | undefined;
  readonly memory: MemoryUsage | undefined;
  readonly processes: bigint | undefined;
}

export function usageOf(cgroup: Cgroup): CgroupUsage {
  return { cpuNs: cpuOf(cgroup), memory: memoryOf(cgroup), processes: numberIn(cgroup.file('pids', 'pids.current')) };
}

function cpuOf(cgroup: Cgroup): bigint | undefined {
  if (cgroup.versionOf('cpuacct') === 1) return numberIn(cgroup.file('cpuacct', 'cpuacct.usage'));
  if (cgroup.versionOf('cpu') !== 2) return undefined;
  const microseconds = fieldsIn(cgroup.file('cpu', 'cpu.stat')).get('usage_usec');
  return microseconds === undefined ? undefined : microseconds * 1000n;
}

function memoryOf(cgroup: Cgroup): MemoryUsage | undefined {
  const isFirst = cgroup.versionOf('memory') === 1;
  const usage = numberIn(cgroup.file('memory', isFirst ? 'memory.usage_in_bytes' : 'memory.current'));
  if (usage === undefined) return undefined;
  const stat = fieldsIn(cgroup.file('memory', 'memory.stat'));
  const field = (first: string, second: string): bigint => stat.get(isFirst ? first : second) ?? 0n;
  const reclaimable = field('total_inactive_file', 'inactive_file');
  const workingSetBytes = usage > reclaimable ? usage - reclaimable : 0n;
  const limit = numberIn(cgroup.file('memory', isFirst ? 'memory.limit_in_bytes' : 'memory.max'));
  const isLimited = limit !== undefined && limit < NO_LIMIT;
  return {
    usageBytes: usage,
    workingSetBytes,
    availableBytes: isLimited ? (limit > workingSetBytes ? limit - workingSetBytes : 0n) : undefined,
    rssBytes: field('total_rss', 'anon'),
    pageFaults: field('total_pgfault', 'pgfault'),
    majorPageFaults: field('total_pgmajfault', 'pgmajfault'),
  };
}

/** `max` is no number. */
function numberIn(file: string | undefined): bigint | undefined {
  const text = readText(file).trim();
  return /^\d+$/.test(text) ? BigInt(text) : undefined;
}

/** Lines of a name and a number. */
function fieldsIn(file: string | undefined): Map<string, bigint> {
  const lines = readText(file).matchAll(/^(\w+) (\d+)$/gm);
  return new Map([...lines].map(([, name = '', value = '0']) => [name, BigInt(value)]));
}

function readText(file: string | undefined): string {
  try {
    return file === undefined ? '' : readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
