import { grpcCodes, type LinuxContainerResources, RuntimeCallError } from '../../cri/index.ts';
import type { Controller } from './hierarchy.ts';

/** One line into one file of a cgroup. */
export interface LimitWrite {
  readonly controller: Controller;
  readonly name: string;
  readonly value: string;
  /** Left out where the kernel has no such file. */
  readonly isOptional?: boolean;
}

/** What is wanted; 0 and empty mean unset, -1 means no limit. */
export type Limits = Pick<
  LinuxContainerResources,
  | 'cpuPeriod'
  | 'cpuQuota'
  | 'cpuShares'
  | 'memoryLimitInBytes'
  | 'memorySwapLimitInBytes'
  | 'cpusetCpus'
  | 'cpusetMems'
  | 'hugepageLimits'
  | 'unified'
>;

type VersionOf = (controller: Controller) => 1 | 2 | undefined;

/** The kernel's default, when only a quota is given. */
const DEFAULT_PERIOD_US = 100_000n;

/**
 * The writes that set `limits`, in an order in which none is refused for the sake of another.
 *
 * @param versionOf of the hierarchy that has a controller; undefined where it cannot be written
 * @throws RuntimeCallError FailedPrecondition for a limit that nobody here can hold
 */
export function limitWrites(limits: Limits, versionOf: VersionOf): LimitWrite[] {
  return [
    ...memoryWrites(limits, versionOf),
    ...cpuWrites(limits, versionOf),
    ...cpusetWrites(limits, versionOf),
    ...hugepageWrites(limits, versionOf),
    ...unifiedWrites(limits, versionOf),
  ];
}

/** What is wanted and not set though nobody is told at once: weights without a controller, and a ban on nothing. */
export function unsetLimits(limits: Limits, versionOf: VersionOf): string[] {
  return [
    ...(limits.cpuShares > 0n && versionOf('cpu') === undefined ? ['cpu_shares'] : []),
    ...(limits.hugepageLimits.length > 0 && versionOf('hugetlb') === undefined ? ['hugepage_limits'] : []),
  ];
}

function memoryWrites(limits: Limits, versionOf: VersionOf): LimitWrite[] {
  const { memoryLimitInBytes: memory, memorySwapLimitInBytes: swap } = limits;
  if (memory === 0n && swap === 0n) return [];
  // A container that may use so much memory does not get more by swapping, unless that is said: containerd's default.
  const both = swap === 0n ? memory : swap;
  const controller = 'memory';
  if (required(controller, 'memory limit', versionOf) === 2) {
    // Here swap is counted by itself.
    const value = limitText(both < 0n ? both : both > memory ? both - memory : 0n);
    return [
      { controller, name: 'memory.swap.max', value, isOptional: true },
      ...(memory === 0n ? [] : [{ controller, name: 'memory.max', value: limitText(memory) } as const]),
    ];
  }
  const limit: LimitWrite = { controller, name: 'memory.limit_in_bytes', value: String(memory) };
  const sum: LimitWrite = { controller, name: 'memory.memsw.limit_in_bytes', value: String(both), isOptional: true };
  // The second is never to be below the first, at no moment: so it is opened wide, then both are set.
  return memory === 0n ? [sum] : [{ ...sum, value: '-1' }, limit, sum];
}

function cpuWrites(limits: Limits, versionOf: VersionOf): LimitWrite[] {
  const { cpuShares: shares, cpuQuota: quota, cpuPeriod: period } = limits;
  const controller = 'cpu';
  const isCapped = quota !== 0n || period !== 0n;
  // A period alone limits nobody.
  const version = quota > 0n ? required(controller, 'cpu quota', versionOf) : versionOf(controller);
  if (version === undefined) return [];
  const weights: LimitWrite[] = [];
  if (shares > 0n) {
    const value = version === 1 ? shares : weightOf(shares);
    weights.push({ controller, name: version === 1 ? 'cpu.shares' : 'cpu.weight', value: String(value) });
  }
  if (!isCapped) return weights;
  if (version === 2) {
    const value = `${quota > 0n ? quota : 'max'} ${period || DEFAULT_PERIOD_US}`;
    return [...weights, { controller, name: 'cpu.max', value }];
  }
  const [name, other] = ['cpu.cfs_period_us', 'cpu.cfs_quota_us'] as const;
  return [
    ...weights,
    // Without a quota any period is right.
    ...(quota === 0n ? [] : [{ controller, name: other, value: '-1' } as const]),
    ...(period === 0n ? [] : [{ controller, name, value: String(period) } as const]),
    ...(quota === 0n ? [] : [{ controller, name: other, value: String(quota < 0n ? -1n : quota) } as const]),
  ];
}

/** Shares are 2 … 262144 with 1024 as default, weights 1 … 10000: a straight line, as in KEP 2254. */
function weightOf(shares: bigint): bigint {
  const within = shares < 2n ? 2n : shares > 262_144n ? 262_144n : shares;
  return 1n + ((within - 2n) * 9999n) / 262_142n;
}

function cpusetWrites({ cpusetCpus, cpusetMems }: Limits, versionOf: VersionOf): LimitWrite[] {
  const controller = 'cpuset';
  const wanted: [string, string][] = [
    ['cpuset.cpus', cpusetCpus],
    ['cpuset.mems', cpusetMems],
  ];
  const given = wanted.filter(([, value]) => value !== '');
  if (given.length > 0) required(controller, 'cpuset', versionOf);
  return given.map(([name, value]) => ({ controller, name, value }));
}

function hugepageWrites({ hugepageLimits }: Limits, versionOf: VersionOf): LimitWrite[] {
  const controller = 'hugetlb';
  // The kubelet always says 0 for each size; what is said of nothing is not worth a refusal (`unsetLimits`).
  const isWanted = hugepageLimits.some(({ limit }) => limit > 0n);
  const version = isWanted ? required(controller, 'hugepage limit', versionOf) : versionOf(controller);
  if (version === undefined) return [];
  return hugepageLimits.map(({ pageSize, limit }) => {
    if (!/^\d+[KMG]B$/.test(pageSize)) throw refusal(`page size ${JSON.stringify(pageSize)} is not like "2MB"`);
    const name = `hugetlb.${pageSize}.${version === 1 ? 'limit_in_bytes' : 'max'}`;
    return { controller, name, value: String(limit) };
  });
}

/** Files of version 2 as they are. */
function unifiedWrites({ unified }: Limits, versionOf: VersionOf): LimitWrite[] {
  return Object.entries(unified).map(([name, value]) => {
    const [prefix = ''] = name.split('.');
    const isKnown = /^(memory|cpu|cpuset|pids|hugetlb)\.[\w.-]+$/.test(name);
    if (!isKnown) throw refusal(`${JSON.stringify(name)} is no limit of a cgroup`);
    const controller = prefix as Controller;
    if (versionOf(controller) === 2) return { controller, name, value };
    throw refusal(`${name} is a file of cgroup version 2, and controller ${controller} has no such cgroup here`);
  });
}

function required(controller: Controller, what: string, versionOf: VersionOf): 1 | 2 {
  const version = versionOf(controller);
  if (version !== undefined) return version;
  throw refusal(`cannot set ${what}: no cgroup of controller ${controller} can be written here`);
}

function limitText(value: bigint): string {
  return value < 0n ? 'max' : String(value);
}

function refusal(message: string): RuntimeCallError {
  return new RuntimeCallError(grpcCodes.FailedPrecondition, message);
}
