import { randomUUID } from 'node:crypto';
import { mustRun } from '../test/support/child.ts';
import { TEST_IMAGE } from '../test/support/image.ts';
import type { Bench, BenchFlags } from './bench.ts';
import { type BenchRuntime, startContainerd, startOwnRuntime } from './bench-runtime.ts';
import { rateOf } from './rate.ts';
import { type Contestant, interleave } from './rounds.ts';
import { throughRelay, timeToStatus } from './sessions.ts';
import { median, pairedRatio, percentile, times } from './statistics.ts';
import type { Table } from './table.ts';

const COMMAND = ['true'];
const MIB = 1024 * 1024;
const concurrencies = [1, 8, 32] as const;
/** What the command hands to the kernel at once: with 1 MiB its own cost is the copy, with 4 KiB it is most of the work. */
const writeSizes = ['1M', '4K'] as const;
const writeBytes: Readonly<Record<(typeof writeSizes)[number], number>> = { '1M': MIB, '4K': 4096 };
/** All rows are compared with this one. */
const PEER = 'containerd, its streaming server';

/** Our runtime with walls beside containerd with runc: the same image, the same client, no hops between. */
export const runtimeBench: Bench = {
  name: 'runtime',
  about: 'our runtime with walls beside containerd, `ctr task exec` and `runc exec`: exec, output, start of a pod',
  flags: { runs: 40, 'seconds-each': 2, rounds: 5, mib: 512 },
  run: async (flags, { say, show }) => {
    await using containerd = await startContainerd();
    await using walls = await startOwnRuntime('walls');
    await using host = await startOwnRuntime('host');
    const ways: Ways = {
      [PEER]: () => timeToStatus(throughRelay(containerd), COMMAND),
      'containerd, ExecSync': () => execSync(containerd),
      'ctr task exec (a process each)': () => timed('ctr', ctrArgs(containerd)),
      'runc exec (a process each)': () => timed('runc', runcArgs(containerd)),
      'podwire runtime with walls, its streaming server': () => timeToStatus(throughRelay(walls), COMMAND),
      'podwire runtime with walls, ExecSync': () => execSync(walls),
      'podwire runtime, host image, its streaming server': () => timeToStatus(throughRelay(host), COMMAND),
    };
    say('time of exec');
    show(await timesOfExec(ways, flags));
    say('output');
    show(await outputRates([containerd, walls, host], flags));
    say('start of a pod');
    show(await startsOfPods([containerd, walls, host], flags));
    // Last: with 32 at once containerd 1.6 has work left over that would slow what comes after.
    say('executions per second');
    show(await ratesOfExec(ways, flags, say));
  },
};

type Ways = Readonly<Record<string, () => Promise<number>>>;

async function timesOfExec(ways: Ways, flags: BenchFlags): Promise<Table> {
  const samples = await interleave(contestantsOf(ways), flags.get('runs'), 3);
  return timeTable('exec true at the runtime itself', 'from the first call to the exit code', samples, PEER);
}

function timeTable(title: string, what: string, samples: ReadonlyMap<string, number[]>, peer: string): Table {
  const of = (name: string): number[] => samples.get(name) ?? [];
  return {
    title,
    columns: [what, 'p10 ms', 'p50 ms', 'p99 ms', `of ${peer.split(',')[0]}`],
    rows: [...samples.keys()].map((name) => [
      name,
      ...[10, 50, 99].map((percent) => percentile(of(name), percent).toFixed(1)),
      times(pairedRatio(of(name), of(peer))),
    ]),
  };
}

async function ratesOfExec(ways: Ways, flags: BenchFlags, say: (text: string) => void): Promise<Table> {
  const samples = new Map<string, number[]>();
  for (const atOnce of concurrencies) {
    say(`${atOnce} at once`);
    const contestants = Object.entries(ways).map(([name, once]) => ({
      name,
      run: () => rateOf(once, atOnce, flags.get('seconds-each') * 1000),
    }));
    for (const [name, values] of await interleave(contestants, flags.get('rounds'), 0))
      samples.set(`${name} ${atOnce}`, values);
  }
  const at = (name: string, atOnce: number): number[] => samples.get(`${name} ${atOnce}`) ?? [];
  return {
    title: 'exec true at the runtime itself, executions per second',
    columns: ['', ...concurrencies.flatMap((atOnce) => [`${atOnce} at once`, 'of containerd'])],
    rows: Object.keys(ways).map((name) => [
      name,
      ...concurrencies.flatMap((atOnce) => [
        median(at(name, atOnce)).toFixed(1),
        times(pairedRatio(at(name, atOnce), at(PEER, atOnce))),
      ]),
    ]),
  };
}

async function outputRates(runtimes: readonly BenchRuntime[], flags: BenchFlags): Promise<Table> {
  const contestants = runtimes.flatMap((runtime) =>
    writeSizes.map((size) => ({
      name: `${runtime.name} ${size}`,
      run: () => outputRate(runtime, { mib: flags.get('mib'), size }),
    })),
  );
  const samples = await interleave(contestants, flags.get('rounds'));
  const of = (name: string, size: string): number[] => samples.get(`${name} ${size}`) ?? [];
  return {
    title: 'stdout through the streaming server, the same client',
    columns: ['', ...writeSizes.flatMap((size) => [`MiB/s, written ${size}iB at once`, 'of containerd'])],
    rows: runtimes.map(({ name }) => [
      name,
      ...writeSizes.flatMap((size) => [
        median(of(name, size)).toFixed(0),
        times(pairedRatio(of(name, size), of('containerd', size))),
      ]),
    ]),
  };
}

/** A command that writes `mib` MiB, `size` of dd's at once. */
async function outputRate(
  runtime: BenchRuntime,
  { mib, size }: { readonly mib: number; readonly size: (typeof writeSizes)[number] },
): Promise<number> {
  const count = mib * (MIB / writeBytes[size]);
  const start = performance.now();
  const session = await throughRelay(runtime)({
    command: ['dd', 'if=/dev/zero', `bs=${size}`, `count=${count}`, 'status=none'],
  });
  let got = 0;
  session.stdout?.on('data', (chunk: Uint8Array) => {
    got += chunk.length;
  });
  session.stderr?.resume();
  await session.completed;
  const seconds = (performance.now() - start) / 1000;
  await session.closed;
  if (got !== mib * MIB) throw new Error(`${got} bytes came of ${mib} MiB`);
  return mib / seconds;
}

/** RunPodSandbox, CreateContainer and StartContainer, in the host's network: a network is CNI's work, not the runtime's. */
async function startsOfPods(runtimes: readonly BenchRuntime[], flags: BenchFlags): Promise<Table> {
  const contestants = runtimes.map((runtime) => ({ name: runtime.name, run: () => timeOfStart(runtime) }));
  const samples = await interleave(contestants, flags.get('runs'), 2);
  return timeTable(
    'start of a pod from an unpacked image',
    'from RunPodSandbox to a running command',
    samples,
    'containerd',
  );
}

async function timeOfStart({ cri, name }: BenchRuntime): Promise<number> {
  const image = name === 'podwire runtime' ? 'podwire.local/host' : TEST_IMAGE;
  const start = performance.now();
  const { sandboxId } = await cri.runPod({
    name: `start-${randomUUID()}`,
    image,
    command: ['sleep', '1000'],
    network: 'host',
  });
  const ms = performance.now() - start;
  await cri.removePod(sandboxId);
  return ms;
}

function contestantsOf(ways: Ways): Contestant<number>[] {
  return Object.entries(ways).map(([name, run]) => ({ name, run }));
}

async function execSync({ cri, containerId }: BenchRuntime): Promise<number> {
  const start = performance.now();
  const answer = await cri.call('RuntimeService/ExecSync', { 1: containerId, 2: COMMAND, 3: 30 });
  if (answer.number(3) !== 0) throw new Error('true did not exit 0');
  return performance.now() - start;
}

async function timed(program: string, args: readonly string[]): Promise<number> {
  const start = performance.now();
  await mustRun(program, args);
  return performance.now() - start;
}

function ctrArgs({ containerd, containerId }: BenchRuntime): string[] {
  return containerd?.ctrArgs('task', 'exec', '--exec-id', randomUUID(), containerId, ...COMMAND) ?? [];
}

/** runc by itself, at the container that containerd's shim made. */
function runcArgs({ containerId }: BenchRuntime): string[] {
  return ['--root', '/run/containerd/runc/k8s.io', 'exec', containerId, ...COMMAND];
}
