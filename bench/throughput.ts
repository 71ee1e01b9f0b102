import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { selfSignedPair } from '../src/pki/index.ts';
import { mustRun } from '../test/support/child.ts';
import type { CommandLine } from '../test/support/exec-client.ts';
import { kubeconfigFile } from '../test/support/kubeconfig-file.ts';
import { execArgs, Kubectl } from '../test/support/kubectl.ts';
import type { Bench, Report } from './bench.ts';
import { BENCH_POD, type BenchRuntime, startContainerd, startOwnRuntime } from './bench-runtime.ts';
import { HopPath } from './hop-path.ts';
import { PlainRelay } from './plain-relay.ts';
import { interleave } from './rounds.ts';
import { median, pairedRatio, times } from './statistics.ts';

const MIB = 1024 * 1024;
/** Of the program that counts what arrived, in bytes. */
const RECORD_BYTES = 65_536;
const RUN_TIMEOUT_MS = 300_000;
const CLI = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

/** One way for bytes: makes the command line of a client that runs `argv` in the container. */
interface Way {
  readonly name: string;
  /** @param stdin whether stdin is passed on */
  readonly command: (argv: readonly string[], stdin: boolean) => Promise<CommandLine>;
}

/** stdout and stdin through whole paths, with programs as clients. */
export const throughputBench: Bench = {
  name: 'throughput',
  about: 'stdout and stdin in MiB/s: kubectl and podwire through our hops, beside one plain relay and `ctr task exec`',
  flags: { mib: 256, rounds: 3 },
  run: async (flags, report) => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-bench-'));
    const plan = { mib: flags.get('mib'), rounds: flags.get('rounds'), zeros: join(folder, 'zeros') };
    try {
      writeFileSync(plan.zeros, '');
      truncateSync(plan.zeros, plan.mib * MIB);
      await throughContainerd(plan, folder, report);
      await throughOwnRuntime(plan, report);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

interface Plan {
  readonly mib: number;
  readonly rounds: number;
  /** A file of that many MiB of zeros. */
  readonly zeros: string;
}

const PEER = 'kubectl, one plain relay';
/** What TLS costs whoever relays: two haproxies where our two hops stand, with TLS before each. */
const TLS_PEER = 'kubectl, two haproxies TLS';

async function throughContainerd(plan: Plan, folder: string, report: Report): Promise<void> {
  report.say('containerd');
  await using runtime = await startContainerd();
  await using plain = await HopPath.start({ runtimeEndpoint: runtime.endpoint, isSecure: false, pod: 'bench' });
  await using secure = await HopPath.start({ runtimeEndpoint: runtime.endpoint, isSecure: true, pod: 'bench' });
  const streaming = await runtime.cri.execUrl({ containerId: runtime.containerId, argv: ['true'] });
  await using relay = await PlainRelay.start(streaming, new URL(plain.url));
  const tlsFile = join(folder, 'relay.pem');
  const pair = await selfSignedPair({ commonName: 'relay', hosts: ['127.0.0.1'], usages: ['server'] });
  writeFileSync(tlsFile, pair.certificate + pair.key);
  await using tlsRelay = await PlainRelay.start(streaming, new URL(plain.url), { tlsFile });
  const ways: Way[] = [
    await relayWay(PEER, relay, runtime, join(folder, 'relay.kubeconfig')),
    await relayWay(TLS_PEER, tlsRelay, runtime, join(folder, 'tls-relay.kubeconfig')),
    await kubectlWay('kubectl SPDY, our hops plain', plain, 'spdy'),
    await kubectlWay('kubectl SPDY, our hops TLS', secure, 'spdy'),
    await kubectlWay('kubectl WebSocket, our hops TLS', secure, 'websocket'),
    podwireWay('podwire exec, our hops TLS', secure),
    ctrWay(runtime),
  ];
  await measure('containerd', ways, plan, report);
}

async function throughOwnRuntime(plan: Plan, report: Report): Promise<void> {
  report.say('our runtime');
  await using runtime = await startOwnRuntime();
  await using plain = await HopPath.start({ runtimeEndpoint: runtime.endpoint, isSecure: false, pod: 'bench' });
  await using secure = await HopPath.start({ runtimeEndpoint: runtime.endpoint, isSecure: true, pod: 'bench' });
  const pipe: Way = {
    name: 'limit: a pipe between two processes',
    command: async (argv, stdin) => ({
      argv: stdin ? ['sh', '-c', 'cat | "$@"', 'sh', ...argv] : argv,
      env: process.env,
    }),
  };
  const ways = [
    await kubectlWay('kubectl SPDY, our hops plain', plain, 'spdy'),
    await kubectlWay('kubectl WebSocket, our hops TLS', secure, 'websocket'),
    podwireWay('podwire exec, our hops plain', plain),
    podwireWay('podwire exec, our hops TLS', secure),
    pipe,
  ];
  await measure('podwire runtime', ways, plan, report);
}

async function relayWay(
  name: string,
  relay: PlainRelay,
  { cri, containerId }: BenchRuntime,
  kubeconfig: string,
): Promise<Way> {
  writeFileSync(kubeconfig, kubeconfigFile(relay.url, { token: 'any' }));
  const kubectl = await Kubectl.create({ kubeconfig, transport: 'spdy' });
  return {
    name,
    command: async (argv, stdin) => {
      await relay.aim(await cri.execUrl({ containerId, argv, stdin }));
      return kubectlLine(kubectl, argv, stdin);
    },
  };
}

async function kubectlWay(name: string, { kubeconfig }: HopPath, transport: 'spdy' | 'websocket'): Promise<Way> {
  const kubectl = await Kubectl.create({ kubeconfig, transport });
  return { name, command: async (argv, stdin) => kubectlLine(kubectl, argv, stdin) };
}

function kubectlLine(kubectl: Kubectl, argv: readonly string[], stdin: boolean): CommandLine {
  return kubectl.commandLine(...execArgs({ ...BENCH_POD, argv }, stdin ? ['--stdin'] : []));
}

function podwireWay(name: string, { kubeconfig }: HopPath): Way {
  return {
    name,
    command: async (argv, stdin) => {
      const flags = ['--kubeconfig', kubeconfig, ...(stdin ? ['--stdin'] : [])];
      return { argv: [process.execPath, CLI, ...execArgs({ ...BENCH_POD, argv }, flags)], env: process.env };
    },
  };
}

function ctrWay({ containerd, containerId }: BenchRuntime): Way {
  return {
    name: 'limit: ctr task exec',
    command: async (argv) => {
      const exec = ['task', 'exec', '--exec-id', randomUUID(), containerId, ...argv];
      return { argv: ['ctr', ...(containerd?.ctrArgs(...exec) ?? [])], env: process.env };
    },
  };
}

async function measure(title: string, ways: readonly Way[], plan: Plan, { say, show }: Report): Promise<void> {
  for (const stream of ['stdout', 'stdin'] as const) {
    say(`${title}, ${stream}`);
    const run = stream === 'stdout' ? stdoutRate : stdinRate;
    const contestants = ways.map((way) => ({ name: way.name, run: () => run(way, plan) }));
    const samples = await interleave(contestants, plan.rounds);
    const peer = samples.get(PEER) ?? samples.get('kubectl SPDY, our hops plain') ?? [];
    const tlsPeer = samples.get(TLS_PEER) ?? [];
    const limit = [...samples].find(([name]) => name.startsWith('limit'))?.[1] ?? [];
    show({
      title: `${stream} of ${plan.mib} MiB, ${title}`,
      columns: ['', 'MiB/s', samples.has(PEER) ? 'of the plain relay' : 'of kubectl', 'of haproxy TLS', 'of the limit'],
      rows: [...samples].map(([name, rates]) => [
        name,
        median(rates).toFixed(0),
        times(pairedRatio(rates, peer)),
        times(pairedRatio(rates, tlsPeer)),
        times(pairedRatio(rates, limit)),
      ]),
      notes: ['From the start of the client program to its end.'],
    });
  }
}

/** @throws Error when not every byte arrived */
async function stdoutRate(way: Way, { mib }: Plan): Promise<number> {
  const { argv, env } = await way.command(['dd', 'if=/dev/zero', 'bs=1048576', `count=${mib}`], false);
  const start = performance.now();
  // The count is made by a program, for this process has other things to do; stderr has the words of dd.
  const counted = await mustRun('sh', ['-c', '"$@" 2>/dev/null | wc -c', 'sh', ...argv], {
    env,
    deadlineMs: RUN_TIMEOUT_MS,
  });
  const seconds = (performance.now() - start) / 1000;
  if (Number(counted) !== mib * MIB) throw new Error(`${way.name}: ${counted.trim()} bytes of ${mib * MIB} arrived`);
  return mib / seconds;
}

/**
 * A pipe stands before dd, for BusyBox' own takes a short read of containerd's stdin for its end.
 */
const COUNT_STDIN = ['sh', '-c', `cat | dd of=/dev/null bs=${RECORD_BYTES} iflag=fullblock 2>&1`];

/** @throws Error when not every byte arrived */
async function stdinRate(way: Way, { mib, zeros }: Plan): Promise<number> {
  const { argv, env } = await way.command(COUNT_STDIN, true);
  const start = performance.now();
  const script = `exec < ${zeros}; "$@" 2>&1`;
  const said = await mustRun('sh', ['-c', script, 'sh', ...argv], { env, deadlineMs: RUN_TIMEOUT_MS });
  const seconds = (performance.now() - start) / 1000;
  const records = (mib * MIB) / RECORD_BYTES;
  if (!said.includes(`${records}+0 records in`))
    throw new Error(`${way.name}: not ${records} records arrived: ${said}`);
  return mib / seconds;
}
