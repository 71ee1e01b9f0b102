import { readFileSync } from 'node:fs';
import type { RuntimeServiceHandlers } from '../cri/index.ts';
import { type Container, nowNs } from './container.ts';
import { matchesLabels } from './object-store.ts';
import type { RuntimeState } from './runtime-state.ts';
import type { Sandbox } from './sandbox.ts';

/** One tick of /proc's CPU times, in ns. */
const TICK_NS = 10_000_000n;

/** Statistics as far as /proc tells them: what living processes of a container use. What ended ones used is lost. */
type StatsCalls = Pick<
  RuntimeServiceHandlers,
  'containerStats' | 'listContainerStats' | 'podSandboxStats' | 'listPodSandboxStats'
>;

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

/** A pod uses what its containers use. What its network carried is not counted. */
async function podStatsOf(state: RuntimeState, sandbox: Sandbox) {
  const { metadata, labels, annotations } = sandbox.config;
  const running = state.containersOf(sandbox).filter(({ phase }) => phase === 'running');
  const containers = await Promise.all(running.map(statsOf));
  const pids = await Promise.all(running.map((container) => membersOf(container)));
  const timestamp = nowNs();
  const cpu = containers.reduce((sum, stats) => sum + stats.cpu.usageCoreNanoSeconds.value, 0n);
  const rss = { value: containers.reduce((sum, stats) => sum + stats.memory.rssBytes.value, 0n) };
  return {
    attributes: { id: sandbox.id, labels, annotations, ...(metadata && { metadata }) },
    linux: {
      cpu: { timestamp, usageCoreNanoSeconds: { value: cpu } },
      memory: { timestamp, workingSetBytes: rss, usageBytes: rss, rssBytes: rss },
      process: { timestamp, processCount: { value: BigInt(pids.flat().length) } },
      containers,
    },
  };
}

async function membersOf(container: Container): Promise<number[]> {
  return container.phase === 'running' ? container.running().process.members() : [];
}

async function statsOf(container: Container) {
  const { metadata, labels, annotations } = container.options.config;
  const pids = await membersOf(container);
  let cpu = 0n;
  let rss = 0n;
  for (const pid of pids) {
    cpu += cpuOf(pid);
    rss += rssOf(pid);
  }
  const timestamp = nowNs();
  return {
    attributes: { id: container.id, labels, annotations, ...(metadata && { metadata }) },
    cpu: { timestamp, usageCoreNanoSeconds: { value: cpu } },
    memory: { timestamp, workingSetBytes: { value: rss }, usageBytes: { value: rss }, rssBytes: { value: rss } },
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
