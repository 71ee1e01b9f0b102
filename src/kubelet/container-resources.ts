import { totalmem } from 'node:os';
import type { CriClient } from '../cri/index.ts';
import {
  type Container,
  type Pod,
  parseQuantity,
  qosClassOf,
  quantityNanos,
  type ResourceList,
} from '../kubeapi/index.ts';
import { isSidecar } from './init-containers.ts';

type ContainerConfig = NonNullable<Parameters<CriClient['runtime']['createContainer']>[0]['config']>;
type LinuxResources = NonNullable<NonNullable<ContainerConfig['linux']>['resources']>;

/** Length in µs of the span in which a quota of processor time holds. */
const QUOTA_PERIOD_US = 100_000n;
const MIN_QUOTA_US = 1000n;

const SHARES_PER_CPU = 1024n;
const MIN_SHARES = 2n;
const MAX_SHARES = 262_144n;

/** Scores out of memory, -1000 … 1000: the kernel ends the process with the highest. */
const GUARANTEED_SCORE = -997;
const BEST_EFFORT_SCORE = 1000;
/** Of pods without which the node does not work. */
const NODE_CRITICAL_PRIORITY = 2_000_001_000;

const MAX_INT64 = 2n ** 63n - 1n;
const NANO = 1_000_000_000n;

/**
 * What a container may use, and how it fares when processors or memory are short.
 *
 * @param machineBytes memory of the machine
 * @see kubernetes pkg/kubelet/kuberuntime/kuberuntime_container_linux.go, generateLinuxContainerResources
 */
export function containerResources(pod: Pod, container: Container, machineBytes: number = totalmem()): LinuxResources {
  const { limits = {}, requests = {} } = container.resources ?? {};
  const memoryLimit = bytesOf(limits, 'memory');
  return {
    cpuShares: sharesOf(milliCpuOf('cpu' in requests ? requests : limits)),
    ...quotaOf(milliCpuOf(limits)),
    ...(memoryLimit > 0n ? { memoryLimitInBytes: memoryLimit } : {}),
    oomScoreAdj: BigInt(outOfMemoryScore(pod, container, machineBytes)),
    hugepageLimits: hugepageLimitsOf(limits),
  };
}

/** A container's weight among those that want a processor. */
function sharesOf(milliCpu: bigint): bigint {
  const shares = (milliCpu * SHARES_PER_CPU) / 1000n;
  return shares < MIN_SHARES ? MIN_SHARES : shares > MAX_SHARES ? MAX_SHARES : shares;
}

function quotaOf(milliCpu: bigint): Pick<LinuxResources, 'cpuQuota' | 'cpuPeriod'> {
  if (milliCpu === 0n) return {};
  const quota = (milliCpu * QUOTA_PERIOD_US) / 1000n;
  return { cpuQuota: quota < MIN_QUOTA_US ? MIN_QUOTA_US : quota, cpuPeriod: QUOTA_PERIOD_US };
}

/**
 * Between the two others a container's score falls with the memory that it asks for; a sidecar's is no higher than that
 * of any container that it is there for.
 *
 * @see kubernetes pkg/kubelet/qos/policy.go
 */
function outOfMemoryScore(pod: Pod, container: Container, machineBytes: number): number {
  const { containers, priority = 0 } = pod.spec;
  if (priority >= NODE_CRITICAL_PRIORITY) return GUARANTEED_SCORE;
  const qos = qosClassOf(pod.spec);
  if (qos === 'Guaranteed') return GUARANTEED_SCORE;
  if (qos === 'BestEffort') return BEST_EFFORT_SCORE;
  const scoreOf = ({ resources }: Container): number =>
    BEST_EFFORT_SCORE - Math.floor((1000 * Number(bytesOf(resources?.requests, 'memory'))) / machineBytes);
  const scores = isSidecar(container) ? [container, ...containers].map(scoreOf) : [scoreOf(container)];
  return Math.max(BEST_EFFORT_SCORE + GUARANTEED_SCORE, Math.min(BEST_EFFORT_SCORE - 1, ...scores));
}

function hugepageLimitsOf(limits: ResourceList): { pageSize: string; limit: bigint }[] {
  return Object.keys(limits).flatMap((name) => {
    const [, size] = /^hugepages-(.+)$/.exec(name) ?? [];
    return size === undefined
      ? []
      : [{ pageSize: pageSizeText(parseQuantity(size, name)), limit: bytesOf(limits, name) }];
  });
}

/** A size in bytes as the kernel names its pages: `2MB`, `1GB`. */
function pageSizeText(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${bytes / 1024 ** power}${units[power]}`;
}

function milliCpuOf(resources: ResourceList): bigint {
  return amountOf(resources, 'cpu', 1000n);
}

function bytesOf(resources: ResourceList | undefined, name: string): bigint {
  return amountOf(resources, name, 1n);
}

/** In so many parts of the resource's unit; what is smaller counts as one. */
function amountOf(resources: ResourceList | undefined, name: string, parts: bigint): bigint {
  const nanos = (quantityNanos(resources?.[name] ?? 0) ?? 0n) * parts;
  const amount = (nanos + NANO - 1n) / NANO;
  return amount > MAX_INT64 ? MAX_INT64 : amount;
}
