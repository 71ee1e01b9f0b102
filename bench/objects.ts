import { cpuSeconds, residentBytes } from '../test/support/process-table.ts';
import type { Bench, BenchFlags } from './bench.ts';
import { ObjectClient } from './object-client.ts';
import { nodeTable, type ServerWithNodes } from './object-nodes.ts';
import { type ObjectServer, startKubeApiserver, startOwnServer } from './object-server.ts';
import { RealNode } from './real-node.ts';
import { interleave } from './rounds.ts';
import { median, pairedRatio, percentile, times } from './statistics.ts';
import type { Table } from './table.ts';

const PODS = '/api/v1/pods';
const PAGE = 500;
/** Watches that are opened at once. */
const OPENING = 50;

/** How clients ask for all pods. */
const lists: Readonly<Record<string, { readonly query: string; readonly accept: string }>> = {
  'JSON, whole': { query: '', accept: 'application/json' },
  [`JSON, pages of ${PAGE}`]: { query: `?limit=${PAGE}`, accept: 'application/json' },
  'informer: resourceVersion=0': { query: '?resourceVersion=0', accept: 'application/json' },
  'client-go: protobuf before JSON': {
    query: '?resourceVersion=0',
    accept: 'application/vnd.kubernetes.protobuf,application/json',
  },
  'kubectl get: a Table': { query: `?limit=${PAGE}`, accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
};

interface Filled extends ServerWithNodes {
  readonly loadedBytes: number;
}

/** Nodes that run pods, beside those that are only objects. */
const REAL_NODES = 2;

/** Many objects: time to list, time until all watches have seen an event, memory. */
export const objectsBench: Bench = {
  name: 'objects',
  about: 'lists and watches of many pods, pods on two real nodes, and memory, beside kube-apiserver with etcd',
  flags: { nodes: 50, pods: 5000, watches: 1000, events: 20, rounds: 5 },
  run: async (flags, { say, show }) => {
    const filled: Filled[] = [];
    const started: AsyncDisposable[] = [];
    try {
      for (const start of servers) {
        const server = await start();
        if (server === undefined) continue;
        started.push(server);
        const client = new ObjectClient(server);
        const begin = performance.now();
        await client.fill(Math.max(1, flags.get('nodes') - REAL_NODES), flags.get('pods'));
        say(`${server.name}: filled in ${((performance.now() - begin) / 1000).toFixed(0)} s`);
        const nodes: RealNode[] = [];
        for (let at = 0; at < REAL_NODES; at += 1) nodes.push(await RealNode.start(server, `real-node-${at}`));
        started.push(...nodes);
        filled.push({ server, client, nodes, loadedBytes: residentBytes(server.pid) });
      }
      show(await listTable(filled, flags, say));
      say('pods on real nodes');
      show(await nodeTable(filled, flags.get('rounds')));
      show(await watchTable(filled, flags, say));
    } finally {
      for (const { client } of filled) client[Symbol.dispose]();
      for (const one of started.toReversed()) await one[Symbol.asyncDispose]();
    }
  },
};

/** The last one is the peer that the others are compared with. */
const servers: readonly (() => Promise<ObjectServer | undefined>)[] = [
  () => startOwnServer('embedded'),
  () => startOwnServer('etcd'),
  startKubeApiserver,
];

async function listTable(filled: readonly Filled[], flags: BenchFlags, say: (text: string) => void): Promise<Table> {
  const peer = filled.at(-1)?.server.name;
  const rows: string[][] = [];
  for (const [title, { query, accept }] of Object.entries(lists)) {
    say(title);
    const contestants = filled.map(({ server, client }) => ({
      name: server.name,
      run: () => costOfList(server, client, { query, accept }),
    }));
    const samples = await interleave(contestants, flags.get('rounds'));
    const peers = (samples.get(peer ?? '') ?? []).map(({ ms }) => ms);
    for (const [name, each] of samples) {
      const taken = each.map(({ ms }) => ms);
      rows.push([
        `${title}: ${name}`,
        ((each[0]?.bytes ?? 0) / 2 ** 20).toFixed(1),
        median(taken).toFixed(0),
        name === peer ? '' : times(pairedRatio(taken, peers)),
        median(each.map(({ cpuMs }) => cpuMs)).toFixed(0),
      ]);
    }
  }
  return {
    title: `${flags.get('pods')} pods on ${flags.get('nodes')} nodes: list`,
    columns: ['list', 'MiB', 'p50 ms', `of ${peer}`, 'CPU ms'],
    rows,
    notes: [
      'From the request to the last byte, over TLS; the answer is not parsed. CPU is that of the apiserver alone.',
    ],
  };
}

interface ListCost {
  readonly ms: number;
  readonly bytes: number;
  /** Of the apiserver alone. */
  readonly cpuMs: number;
}

async function costOfList(
  { pid }: ObjectServer,
  client: ObjectClient,
  { query, accept }: { readonly query: string; readonly accept: string },
): Promise<ListCost> {
  const start = performance.now();
  const cpu = cpuSeconds(pid);
  let bytes = 0;
  let token = '';
  do {
    const more = token === '' ? '' : `&continue=${encodeURIComponent(token)}`;
    const page = await client.call(`${PODS}${query}${more}`, { accept });
    bytes += page.length;
    // Found without parsing: it stands in the list's metadata, which comes first.
    token = /"continue":"([^"]*)"/.exec(page.toString('latin1', 0, 2000))?.[1] ?? '';
  } while (token !== '');
  return { ms: performance.now() - start, bytes, cpuMs: (cpuSeconds(pid) - cpu) * 1000 };
}

async function watchTable(filled: readonly Filled[], flags: BenchFlags, say: (text: string) => void): Promise<Table> {
  const rows: string[][] = [];
  for (const { server, client, loadedBytes } of filled) {
    say(`${flags.get('watches')} watches of ${server.name}`);
    const { openMs, eventMs, cpuMs, bytes, before } = await watchAll(server, client, flags);
    rows.push([
      server.name,
      openMs.toFixed(0),
      median(eventMs).toFixed(0),
      percentile(eventMs, 90).toFixed(0),
      cpuMs.toFixed(0),
      (loadedBytes / 2 ** 20).toFixed(0),
      (bytes / 2 ** 20).toFixed(0),
      ((bytes - before) / flags.get('watches') / 1024).toFixed(0),
    ]);
  }
  return {
    title: `${flags.get('watches')} watches of ${flags.get('pods')} pods`,
    columns: [
      'server',
      'all open ms',
      'event seen by all, p50 ms',
      'p90',
      'CPU ms an event',
      'RSS filled MiB',
      'with watches',
      'KiB a watch',
    ],
    rows,
    notes: [
      'Each watch is a TLS connection of its own; an event is seen when its line has come to the last of them. The client',
      'takes its part of the time, the same for all. Memory is that of the apiserver alone, without etcd.',
    ],
  };
}

interface Watched {
  readonly openMs: number;
  readonly eventMs: readonly number[];
  readonly cpuMs: number;
  /** Resident without watches, and with all of them. */
  readonly before: number;
  readonly bytes: number;
}

async function watchAll(server: ObjectServer, client: ObjectClient, flags: BenchFlags): Promise<Watched> {
  const count = flags.get('watches');
  const list = JSON.parse((await client.call(`${PODS}?limit=1`)).toString()) as {
    metadata: { resourceVersion: string };
  };
  let missing = 0;
  let seen = (): void => {};
  const onLine = (): void => {
    missing -= 1;
    if (missing === 0) seen();
  };
  const before = residentBytes(server.pid);
  const path = `${PODS}?watch=true&resourceVersion=${list.metadata.resourceVersion}`;
  const start = performance.now();
  const watches: Awaited<ReturnType<ObjectClient['watch']>>[] = [];
  while (watches.length < count) {
    const some = Array.from({ length: Math.min(OPENING, count - watches.length) }, () => client.watch(path, onLine));
    watches.push(...(await Promise.all(some)));
  }
  const openMs = performance.now() - start;
  const eventMs: number[] = [];
  const cpuBefore = cpuSeconds(server.pid);
  for (let event = 0; event < flags.get('events'); event += 1) {
    missing = count;
    const all = new Promise<void>((resolve) => {
      seen = resolve;
    });
    const sent = performance.now();
    const body = { metadata: { labels: { event: `${event}` } } };
    const pod = '/api/v1/namespaces/default/pods/pod-00000';
    await client.call(pod, { method: 'PATCH', contentType: 'application/merge-patch+json', body });
    await all;
    eventMs.push(performance.now() - sent);
  }
  const cpuMs = ((cpuSeconds(server.pid) - cpuBefore) * 1000) / flags.get('events');
  const bytes = residentBytes(server.pid);
  for (const response of watches) response.destroy();
  return { openMs, eventMs, cpuMs, before, bytes };
}
