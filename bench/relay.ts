import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority, type KeyPair } from '../src/pki/index.ts';
import { cpuSeconds } from '../test/support/process-table.ts';
import type { Bench } from './bench.ts';
import { BenchHaproxy } from './haproxy.ts';
import type { Transfer } from './processes/byte-client.ts';
import type { ByteServerConfig } from './processes/byte-server.ts';
import type { RelayHopConfig } from './processes/relay-hop.ts';
import { interleave } from './rounds.ts';
import { median, pairedRatio, times } from './statistics.ts';
import type { Table } from './table.ts';
import { Worker } from './worker.ts';

const MIB = 1024 * 1024;
const directions = ['up', 'down'] as const;
type Direction = (typeof directions)[number];

interface Sample {
  readonly mibPerSecond: number;
  readonly cpuPerGib: number;
}

interface Tls extends KeyPair {
  readonly ca: string;
  /** PEM file with certificate and key. */
  readonly file: string;
}

/** A relay hop, plain and with TLS on both sides, beside haproxy in TCP mode. */
export const relayBench: Bench = {
  name: 'relay',
  about: 'one relay hop: MiB/s and CPU seconds per GiB, plain and TLS, beside haproxy',
  flags: { mib: 512, 'tls-mib': 256, rounds: 5 },
  run: async (flags, { say, show }) => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-bench-'));
    try {
      const ca = await CertificateAuthority.create('podwire-bench');
      const pair = await ca.issue({ commonName: 'bench', hosts: ['127.0.0.1', 'localhost'], usages: ['server'] });
      const file = join(folder, 'pair.pem');
      writeFileSync(file, pair.certificate + pair.key, { mode: 0o600 });
      const tls: Tls = { ...pair, ca: ca.certificate, file };
      say('plain');
      show(await compare('Relay hop, plain', { bytes: flags.get('mib') * MIB, rounds: flags.get('rounds') }));
      say('TLS on both sides');
      const secure = { bytes: flags.get('tls-mib') * MIB, rounds: flags.get('rounds'), tls };
      show(await compare('Relay hop, TLS on both sides', secure));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

interface Plan {
  readonly bytes: number;
  readonly rounds: number;
  readonly tls?: Tls;
}

const OURS = 'podwire';

async function compare(title: string, { bytes, rounds, tls }: Plan): Promise<Table> {
  const secure = tls === undefined ? {} : { tls };
  await using server = await Worker.start('byte-server', secure satisfies ByteServerConfig);
  const targetPort = await server.ask<number>('port');
  await using ours = await Worker.start('relay-hop', { targetPort, ...secure } satisfies RelayHopConfig);
  // Splicing helps plain bytes alone: there haproxy is asked for all it can do, and for what it chooses by itself.
  await using haproxy = await BenchHaproxy.tcp(targetPort, { tlsFile: tls?.file });
  await using choosing = await BenchHaproxy.tcp(targetPort, { tlsFile: tls?.file, splice: 'auto' });
  await using client = await Worker.start('byte-client', {});
  const relays: readonly Relay[] = [
    { name: OURS, port: await ours.ask<number>('port'), pid: ours.pid },
    { name: tls === undefined ? 'haproxy, splice on' : 'haproxy', port: haproxy.port, pid: haproxy.pid },
    ...(tls === undefined ? [{ name: 'haproxy, splice-auto', port: choosing.port, pid: choosing.pid }] : []),
    { name: 'no relay', port: targetPort, pid: undefined },
  ];
  const run = async ({ port, pid }: Relay, direction: Direction): Promise<Sample> => {
    const before = pid === undefined ? 0 : cpuSeconds(pid);
    const transfer: Transfer = { port, direction, bytes, ...(tls === undefined ? {} : { ca: tls.ca }) };
    const { seconds } = await client.ask<{ seconds: number }>('transfer', transfer, 120_000);
    const used = pid === undefined ? 0 : cpuSeconds(pid) - before;
    return { mibPerSecond: bytes / MIB / seconds, cpuPerGib: used / (bytes / MIB / 1024) };
  };
  const contestants = directions.flatMap((direction) =>
    relays.map((relay) => ({ name: `${direction}: ${relay.name}`, run: () => run(relay, direction) })),
  );
  return tableOf(title, await interleave(contestants, rounds));
}

interface Relay {
  readonly name: string;
  readonly port: number;
  /** Of the process that moves the bytes. */
  readonly pid: number | undefined;
}

function tableOf(title: string, samples: ReadonlyMap<string, Sample[]>): Table {
  const of = (name: string, field: keyof Sample): number[] => (samples.get(name) ?? []).map((sample) => sample[field]);
  const rows = [...samples.keys()].map((name) => {
    const ours = `${name.split(':', 1)[0] ?? ''}: ${OURS}`;
    const ratio = (field: keyof Sample): string => times(pairedRatio(of(ours, field), of(name, field)));
    const isRelay = !name.endsWith('no relay');
    return [
      name,
      median(of(name, 'mibPerSecond')).toFixed(0),
      name === ours ? '' : ratio('mibPerSecond'),
      isRelay ? median(of(name, 'cpuPerGib')).toFixed(2) : '',
      name === ours || !isRelay ? '' : ratio('cpuPerGib'),
    ];
  });
  return { title, columns: ['', 'MiB/s', 'podwire is', 'CPU s/GiB', 'podwire takes'], rows };
}
