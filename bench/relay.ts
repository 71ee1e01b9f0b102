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
  run: async (flags, say) => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-bench-'));
    try {
      const ca = await CertificateAuthority.create('podwire-bench');
      const pair = await ca.issue({ commonName: 'bench', hosts: ['127.0.0.1', 'localhost'], usages: ['server'] });
      const file = join(folder, 'pair.pem');
      writeFileSync(file, pair.certificate + pair.key, { mode: 0o600 });
      const tls: Tls = { ...pair, ca: ca.certificate, file };
      say('plain');
      const plain = await compare({ bytes: flags.get('mib') * MIB, rounds: flags.get('rounds') });
      say('TLS on both sides');
      const secure = await compare({ bytes: flags.get('tls-mib') * MIB, rounds: flags.get('rounds'), tls });
      return [tableOf('Relay hop, plain', plain), tableOf('Relay hop, TLS on both sides', secure)];
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

async function compare({ bytes, rounds, tls }: Plan): Promise<Map<string, Sample[]>> {
  const secure = tls === undefined ? {} : { tls };
  await using server = await Worker.start('byte-server', secure satisfies ByteServerConfig);
  const targetPort = await server.ask<number>('port');
  await using ours = await Worker.start('relay-hop', { targetPort, ...secure } satisfies RelayHopConfig);
  await using haproxy = await BenchHaproxy.tcp(targetPort, tls?.file);
  await using client = await Worker.start('byte-client', {});
  const run = async (relay: { port: number; pid: number | undefined }, direction: Direction): Promise<Sample> => {
    const before = relay.pid === undefined ? 0 : cpuSeconds(relay.pid);
    const transfer: Transfer = { port: relay.port, direction, bytes, ...(tls === undefined ? {} : { ca: tls.ca }) };
    const { seconds } = await client.ask<{ seconds: number }>('transfer', transfer, 120_000);
    const used = relay.pid === undefined ? 0 : cpuSeconds(relay.pid) - before;
    return { mibPerSecond: bytes / MIB / seconds, cpuPerGib: used / (bytes / MIB / 1024) };
  };
  const relays = {
    podwire: { port: await ours.ask<number>('port'), pid: ours.pid },
    haproxy: { port: haproxy.port, pid: haproxy.pid },
    'no relay': { port: targetPort, pid: undefined },
  };
  const contestants = directions.flatMap((direction) =>
    Object.entries(relays).map(([name, relay]) => ({
      name: `${name} ${direction}`,
      run: () => run(relay, direction),
    })),
  );
  return await interleave(contestants, rounds);
}

function tableOf(title: string, samples: Map<string, Sample[]>): Table {
  const of = (name: string, field: keyof Sample): number[] => (samples.get(name) ?? []).map((sample) => sample[field]);
  const rows = directions.map((direction) => {
    const [ours, peer] = [`podwire ${direction}`, `haproxy ${direction}`];
    return [
      direction,
      median(of(ours, 'mibPerSecond')).toFixed(0),
      median(of(peer, 'mibPerSecond')).toFixed(0),
      times(pairedRatio(of(ours, 'mibPerSecond'), of(peer, 'mibPerSecond'))),
      median(of(ours, 'cpuPerGib')).toFixed(2),
      median(of(peer, 'cpuPerGib')).toFixed(2),
      times(pairedRatio(of(ours, 'cpuPerGib'), of(peer, 'cpuPerGib'))),
      median(of(`no relay ${direction}`, 'mibPerSecond')).toFixed(0),
    ];
  });
  return {
    title,
    columns: ['', 'MiB/s', 'haproxy', 'ratio', 'CPU s/GiB', 'haproxy', 'ratio', 'no relay MiB/s'],
    rows,
  };
}
