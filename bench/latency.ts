import { randomUUID } from 'node:crypto';
import { mustRun } from '../test/support/child.ts';
import { cpuSeconds } from '../test/support/process-table.ts';
import type { Bench } from './bench.ts';
import { type BenchRuntime, startContainerd, startOwnRuntime } from './bench-runtime.ts';
import { BenchHaproxy } from './haproxy.ts';
import { HopPath } from './hop-path.ts';
import { type Contestant, interleave } from './rounds.ts';
import { type OpenSession, throughHops, throughKubelet, throughRelay, timeToStatus } from './sessions.ts';
import { mean, percentile } from './statistics.ts';
import type { Table } from './table.ts';

const COMMAND = ['true'];

/** `exec true` from connect to Status, and what our two hops add. */
export const latencyBench: Bench = {
  name: 'latency',
  about: 'time of `exec true` from connect to Status, p50 and p99, and the share of our hops',
  flags: { runs: 200 },
  run: async (flags, { say, show }) => {
    say('containerd');
    await using containerd = await startContainerd();
    show(await measure(containerd, flags.get('runs')));
    say('our runtime');
    await using own = await startOwnRuntime();
    show(await measure(own, flags.get('runs')));
  },
};

async function measure(runtime: BenchRuntime, runs: number): Promise<Table> {
  const { endpoint: runtimeEndpoint, containerd, containerId, cri } = runtime;
  await using plain = await HopPath.start({ runtimeEndpoint, isSecure: false, pod: 'bench' });
  await using secure = await HopPath.start({ runtimeEndpoint, isSecure: true, pod: 'bench' });
  const streaming = await cri.execUrl({ containerId, argv: COMMAND });
  await using haproxy = await BenchHaproxy.tcp(Number(streaming.port));
  const relay = 'one plain relay, SPDY';
  const ctr = (): Promise<number> => timeOfCtr(containerd, containerId);
  const [plainKubelet, secureKubelet] = [await throughKubelet(plain), await throughKubelet(secure)];
  const contestants: Contestant<Sample>[] = [
    { name: relay, run: () => sampleOf(() => timeToStatus(throughRelay(runtime, haproxy.port), COMMAND)) },
    { name: 'our kubelet alone plain, spdy', run: () => throughPath(plain, plainKubelet) },
    { name: 'our kubelet alone TLS, spdy', run: () => throughPath(secure, secureKubelet) },
    ...(['spdy', 'websocket'] as const).flatMap((transport) => [
      { name: `our hops plain, ${transport}`, run: () => throughPath(plain, throughHops(plain, transport)) },
      { name: `our hops TLS, ${transport}`, run: () => throughPath(secure, throughHops(secure, transport)) },
    ]),
    ...(containerd === undefined
      ? []
      : [{ name: 'ctr task exec true (with its own start)', run: () => sampleOf(ctr) }]),
  ];
  const samples = await interleave(contestants, runs, 10);
  const times = (name: string): number[] => (samples.get(name) ?? []).map(({ ms }) => ms);
  return {
    title: `exec true, ${runtime.name}`,
    columns: [
      'from connect to Status',
      'p10 ms',
      'p50 ms',
      'p99 ms',
      'p10 over the relay',
      'p50 over it',
      'CPU ms in our hops',
    ],
    rows: [...samples.keys()].map((name) => [
      name,
      ...[10, 50, 99].map((percent) => percentile(times(name), percent).toFixed(2)),
      ...[10, 50].map((percent) => {
        const added = percentile(times(name), percent) - percentile(times(relay), percent);
        return name === relay ? '–' : `${added.toFixed(2)} ms`;
      }),
      name.startsWith('our') ? mean((samples.get(name) ?? []).map(({ cpuMs }) => cpuMs)).toFixed(2) : '',
    ]),
    notes: ['CPU time is the mean of all runs: the kernel counts it in steps of 10 ms.'],
  };
}

interface Sample {
  readonly ms: number;
  /** Of apiserver and kubelet together. */
  readonly cpuMs: number;
}

async function sampleOf(run: () => Promise<number>): Promise<Sample> {
  return { ms: await run(), cpuMs: 0 };
}

async function throughPath(path: HopPath, open: OpenSession): Promise<Sample> {
  const hopsMs = (): number => (cpuSeconds(path.apiserver.pid) + cpuSeconds(path.kubelet.pid)) * 1000;
  const before = hopsMs();
  const ms = await timeToStatus(open, COMMAND);
  return { ms, cpuMs: hopsMs() - before };
}

async function timeOfCtr(containerd: BenchRuntime['containerd'], containerId: string): Promise<number> {
  const args = containerd?.ctrArgs('task', 'exec', '--exec-id', randomUUID(), containerId, ...COMMAND) ?? [];
  const start = performance.now();
  await mustRun('ctr', args);
  return performance.now() - start;
}
