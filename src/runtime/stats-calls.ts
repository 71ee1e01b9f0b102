import { readFileSync } from 'node:fs';
import type { RuntimeServiceHandlers } from '../cri/index.ts';
import type { CgroupUsage } from './cgroup/index.ts';
import type { Container } from './container.ts';
import { nowNs } from './ending.ts';
import { matchesLabels } from './object-store.ts';
import type { RuntimeState } from './runtime-state.ts';
import type { Sandbox } from './sandbox.ts';

/** One tick of /proc's CPU times, in ns. */
const TICK_NS = 10_000_000n;
/** A rate is told over at least so long, in ns. */
const RATE_NS = 1_000_000_000n;

type StatsCalls = Pick<
  RuntimeServiceHandlers,
  'containerStats' | 'listContainerStats' | 'podSandboxStats' | 'listPodSandboxStats'
>;

/**
 * Statistics of cgroups; where there are none, as far as /proc tells them: what living processes use. What ended ones
 * used is lost then.
 */
export function statsCalls(state: RuntimeState): StatsCalls {
  return {
    containerStats: async ({ containerId }) => ({ stats: await statsOf(state.containers.get(containerId)) }),
    listContainerStats: async ({ filter }) => {
      const sandboxId = filter?.podSandboxId ? state.sandboxes.find(filter.podSandboxId)?.id : undefined;
      const only = filter?.id ? [state.containers.find(filter.id)] : state.containers.values();
      const containers = only
        .filter((container) => container?.phase === 'running')
        .filter((container) => container !== undefined)
        .filter(({ options }) => !filter?.podSandboxId || options.podSandboxId === sandboxId)
        .filter(({ options }) => matchesLabels(options.config.labels, filter?.labelSelector));
      return { stats: await Promise.all(containers.map(statsOf)) };
    },
    podSandboxStats: async ({ podSandboxId }) => ({
      stats: await podStatsOf(state, state.sandboxes.get(podSandboxId)),
    }),
    listPodSandboxStats: async ({ filter }) => {
      const only = filter?.id ? [state.sandboxes.find(filter.id)] : state.sandboxes.values();
      const sandboxes = only
        .filter((sandbox) => sandbox !== undefined)
        .filter(({ isReady }) => isReady)
        .filter(({ config }) => matchesLabels(config.labels, filter?.labelSelector));
      return { stats: await Promise.all(sandboxes.map((sandbox) => podStatsOf(state, sandbox))) };
    },
  };
}

async function podStatsOf(state: RuntimeState, sandbox: Sandbox) {
  const { metadata, labels, annotations } = sandbox.config;
  const running = state.containersOf(sandbox).filter(({ phase }) => phase === 'running');
  const containers = await Promise.all(running.map(statsOf));
  const pids = (await Promise.all(running.map(membersOf))).flat();
  // With its ended containers, where a cgroup has counted them.
  const usage = withProc(running.length > 0 ? sandbox.pod?.cgroup?.whole.usage() : undefined, pids);
  const timestamp = nowNs();
  const network = sandbox.pod?.traffic();
  return {
    attributes: { id: sandbox.id, labels, annotations, ...(metadata && { metadata }) },
    linux: {
      cpu: cpuUsage(sandbox, usage.cpuNs, timestamp),
      memory: memoryUsage(usage, timestamp),
      ...(network && { network: { timestamp, defaultInterface: network, interfaces: [] } }),
      process: { timestamp, processCount: { value: BigInt(pids.length) } },
      containers,
    },
  };
}

async function membersOf(container: Container): Promise<number[]> {
  if (container.phase !== 'running') return [];
  return container.options.confinement?.options.cgroup.members() ?? container.running().process.members();
}

async function statsOf(container: Container) {
  const { metadata, labels, annotations } = container.options.config;
  const { confinement } = container.options;
  const counted = confinement?.options.cgroup.usage();
  const isCounted = counted?.cpuNs !== undefined && counted.memory !== undefined;
  const usage = withProc(counted, isCounted ? [] : await membersOf(container));
  const layer = await confinement?.layer.read();
  const timestamp = nowNs();
  return {
    attributes: { id: container.id, labels, annotations, ...(metadata && { metadata }) },
    cpu: cpuUsage(container, usage.cpuNs, timestamp),
    memory: memoryUsage(usage, timestamp),
    ...(layer && {
      writableLayer: {
        timestamp,
        fsId: { mountpoint: container.options.directory },
        usedBytes: { value: layer.bytes },
        inodesUsed: { value: layer.inodes },
      },
    }),
  };
}

interface Usage {
  readonly cpuNs: bigint;
  readonly memory: Partial<NonNullable<CgroupUsage['memory']>> & {
    readonly usageBytes: bigint;
    readonly workingSetBytes: bigint;
    readonly rssBytes: bigint;
  };
}

/** What no cgroup counts is summed up over processes. */
function withProc(counted: CgroupUsage | undefined, pids: readonly number[]): Usage {
  const rss = counted?.memory === undefined ? pids.reduce((sum, pid) => sum + rssOf(pid), 0n) : 0n;
  return {
    cpuNs: counted?.cpuNs ?? pids.reduce((sum, pid) => sum + cpuOf(pid), 0n),
    memory: counted?.memory ?? { usageBytes: rss, workingSetBytes: rss, rssBytes: rss },
  };
}

const lastSamples = new WeakMap<
  object,
  { readonly at: bigint; readonly cpuNs: bigint; readonly rate: bigint | undefined }
>();

/** With the rate since an earlier call, once there was one. */
function cpuUsage(subject: object, cpuNs: bigint, timestamp: bigint) {
  const last = lastSamples.get(subject);
  const isFresh = last !== undefined && timestamp - last.at < RATE_NS;
  const grown = last === undefined || cpuNs < last.cpuNs ? undefined : cpuNs - last.cpuNs;
  const rate = last === undefined || isFresh ? last?.rate : grown && (grown * 1_000_000_000n) / (timestamp - last.at);
  if (!isFresh) lastSamples.set(subject, { at: timestamp, cpuNs, rate });
  return {
    timestamp,
    usageCoreNanoSeconds: { value: cpuNs },
    ...(rate !== undefined && { usageNanoCores: { value: rate } }),
  };
}

function memoryUsage({ memory }: Usage, timestamp: bigint) {
  const { availableBytes, pageFaults, majorPageFaults } = memory;
  return {
    timestamp,
    workingSetBytes: { value: memory.workingSetBytes },
    usageBytes: { value: memory.usageBytes },
    rssBytes: { value: memory.rssBytes },
    ...(availableBytes !== undefined && { availableBytes: { value: availableBytes } }),
    ...(pageFaults !== undefined && { pageFaults: { value: pageFaults } }),
    ...(majorPageFaults !== undefined && { majorPageFaults: { value: majorPageFaults } }),
  };
}

/** User and system time, with that of children it waited for. */
function cpuOf(pid: number): bigint {
  const stat = readProc(pid, 'stat');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return BigInt(ticks) * TICK_NS;
}

function rssOf(pid: number): bigint {
  return BigInt(/^VmRSS:\s+(\d+) kB/m.exec(readProc(pid, 'status'))?.[1] ?? 0) * 1024n;
}

/** Empty when the process is gone. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
