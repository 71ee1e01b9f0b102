import { randomUUID } from 'node:crypto';
import { mustRun } from '../test/support/child.ts';
import type { Bench } from './bench.ts';
import { type BenchRuntime, startContainerd, startOwnRuntime } from './bench-runtime.ts';
import { BenchHaproxy } from './haproxy.ts';
import { HopPath } from './hop-path.ts';
import { interleave } from './rounds.ts';
import { throughHops, throughRelay, timeToStatus } from './sessions.ts';
import { median, pairedRatio, times } from './statistics.ts';
import type { Table } from './table.ts';

const COMMAND = ['true'];
const concurrencies = [1, 8, 32] as const;

/** Executions per second. */
export const rateBench: Bench = {
  name: 'rate',
  about: 'executions of `true` per second at 1, 8 and 32 at once, beside `ctr task exec`',
  flags: { 'seconds-each': 2, rounds: 3 },
  run: async (flags, { say, show }) => {
    const plan = { ms: flags.get('seconds-each') * 1000, rounds: flags.get('rounds') };
    await using containerd = await startContainerd();
    await using own = await startOwnRuntime();
    await using hops = await HopPath.start({ runtimeEndpoint: containerd.endpoint, isSecure: true, pod: 'bench' });
    await using ownHops = await HopPath.start({ runtimeEndpoint: own.endpoint, isSecure: true, pod: 'bench' });
    const streaming = await containerd.cri.execUrl({ containerId: containerd.containerId, argv: COMMAND });
    await using haproxy = await BenchHaproxy.tcp(Number(streaming.port));
    const ways: Record<string, () => Promise<unknown>> = {
      [CTR]: () => ctrTrue(containerd),
      'one plain relay → containerd': () => timeToStatus(throughRelay(containerd, haproxy.port), COMMAND),
      'our hops, TLS → containerd': () => timeToStatus(throughHops(hops, 'spdy'), COMMAND),
      'our hops, TLS → our runtime': () => timeToStatus(throughHops(ownHops, 'websocket'), COMMAND),
    };
    const samples = new Map<string, number[]>();
    for (const atOnce of concurrencies) {
      say(`${atOnce} at once`);
      const contestants = Object.entries(ways).map(([name, once]) => ({
        name,
        run: () => rateOf(once, atOnce, plan.ms),
      }));
      for (const [name, values] of await interleave(contestants, plan.rounds, 0))
        samples.set(`${name} ${atOnce}`, values);
    }
    show(tableOf(Object.keys(ways), samples));
  },
};

const CTR = 'ctr task exec (a process each)';

/** Keeps `atOnce` executions under way for `ms`, and gives executions per second. */
export async function rateOf(once: () => Promise<unknown>, atOnce: number, ms: number): Promise<number> {
  const start = performance.now();
  let finished = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - start < ms) {
      await once();
      finished += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return (finished * 1000) / (performance.now() - start);
}

async function ctrTrue({ containerd, containerId }: BenchRuntime): Promise<void> {
  const args = containerd?.ctrArgs('task', 'exec', '--exec-id', randomUUID(), containerId, ...COMMAND) ?? [];
  await mustRun('ctr', args);
}

function tableOf(names: readonly string[], samples: ReadonlyMap<string, number[]>): Table {
  const at = (name: string, atOnce: number): number[] => samples.get(`${name} ${atOnce}`) ?? [];
  return {
    title: 'exec true, executions per second',
    columns: ['', ...concurrencies.flatMap((atOnce) => [`${atOnce} at once`, 'of ctr'])],
    rows: names.map((name) => [
      name,
      ...concurrencies.flatMap((atOnce) => [
        median(at(name, atOnce)).toFixed(1),
        times(pairedRatio(at(name, atOnce), at(CTR, atOnce))),
      ]),
    ]),
  };
}
