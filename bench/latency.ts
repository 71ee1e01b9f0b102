import { randomUUID } from 'node:crypto';
import { mustRun } from '../test/support/child.ts';
import type { Bench } from './bench.ts';
import { type BenchRuntime, startContainerd, startOwnRuntime } from './bench-runtime.ts';
import { BenchHaproxy } from './haproxy.ts';
import { HopPath } from './hop-path.ts';
import { interleave } from './rounds.ts';
import { throughHops, throughRelay, timeToStatus } from './sessions.ts';
import { median, percentile } from './statistics.ts';
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
  const contestants = [
    { name: relay, run: () => timeToStatus(throughRelay(runtime, haproxy.port), COMMAND) },
    ...(['spdy', 'websocket'] as const).flatMap((transport) => [
      { name: `our hops plain, ${transport}`, run: () => timeToStatus(throughHops(plain, transport), COMMAND) },
      { name: `our hops TLS, ${transport}`, run: () => timeToStatus(throughHops(secure, transport), COMMAND) },
    ]),
    ...(containerd === undefined ? [] : [{ name: 'ctr task exec true (with its own start)', run: ctr }]),
  ];
  const samples = await interleave(contestants, runs, 10);
  const base = samples.get(relay) ?? [];
  return {
    title: `exec true, ${runtime.name}`,
    columns: ['from connect to Status', 'p50 ms', 'p99 ms', 'p50 over the relay', 'ratio of p50'],
    rows: [...samples].map(([name, values]) => [
      name,
      median(values).toFixed(2),
      percentile(values, 99).toFixed(2),
      name === relay ? '–' : `${(median(values) - median(base)).toFixed(2)} ms`,
      (median(values) / median(base)).toFixed(2),
    ]),
  };
}

async function timeOfCtr(containerd: BenchRuntime['containerd'], containerId: string): Promise<number> {
  const args = containerd?.ctrArgs('task', 'exec', '--exec-id', randomUUID(), containerId, ...COMMAND) ?? [];
  const start = performance.now();
  await mustRun('ctr', args);
  return performance.now() - start;
}
