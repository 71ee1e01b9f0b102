import { setTimeout as delay } from 'node:timers/promises';
import { exec } from '../src/client/index.ts';
import { createTransport, type Pod } from '../src/kubeapi/index.ts';
import { HOST_IMAGE } from '../src/runtime/index.ts';
import type { ObjectClient } from './object-client.ts';
import { type ObjectServer, TOKEN } from './object-server.ts';
import type { RealNode } from './real-node.ts';
import { interleave } from './rounds.ts';
import { timeToStatus } from './sessions.ts';
import { median, pairedRatio, times } from './statistics.ts';
import type { Table } from './table.ts';

const PODS = '/api/v1/namespaces/default/pods';

/** How often the apiserver is asked whether a pod runs, in ms. */
const POLL_MS = 20;
const START_TIMEOUT_MS = 60_000;

export interface ServerWithNodes {
  readonly server: ObjectServer;
  readonly client: ObjectClient;
  readonly nodes: readonly RealNode[];
}

interface PodRun {
  readonly startMs: number;
  readonly execMs: number;
}

/** A pod on each real node again and again, among all the objects of the others: its start, and exec into it. */
export async function nodeTable(servers: readonly ServerWithNodes[], rounds: number): Promise<Table> {
  let pods = 0;
  const contestants = servers.flatMap(({ server, client, nodes }) =>
    nodes.map((node) => ({
      name: `${server.name}: ${node.name}`,
      run: () => runPod(server, client, { node: node.name, name: `real-${(pods += 1)}` }),
    })),
  );
  const samples = await interleave(contestants, rounds);
  const of = ({ name }: ObjectServer, what: keyof PodRun): number[] =>
    [...samples].filter(([title]) => title.startsWith(`${name}: `)).flatMap(([, runs]) => runs.map((run) => run[what]));
  const peer = servers.at(-1)?.server;
  return {
    title: 'pods on two real nodes beside them',
    columns: ['server', 'created to Running, p50 ms', `of ${peer?.name}`, 'exec true, p50 ms', `of ${peer?.name}`],
    rows: servers.map(({ server }) => [
      server.name,
      ...(['startMs', 'execMs'] as const).flatMap((what) => [
        median(of(server, what)).toFixed(0),
        peer === undefined || server === peer ? '' : times(pairedRatio(of(server, what), of(peer, what))),
      ]),
    ]),
    notes: [
      'Both nodes are our kubelet before our runtime with its host image; exec is our client over SPDY with TLS.',
    ],
  };
}

async function runPod(
  server: ObjectServer,
  client: ObjectClient,
  { node, name }: { readonly node: string; readonly name: string },
): Promise<PodRun> {
  const container = { name: 'main', image: HOST_IMAGE, command: ['sleep', '2147483647'] };
  const spec = { nodeName: node, hostNetwork: true, containers: [container] };
  const created = performance.now();
  await client.call(PODS, { method: 'POST', body: { metadata: { name }, spec } });
  await untilRunning(client, name);
  const startMs = performance.now() - created;
  const api = createTransport({ server: new URL(server.url), certificateAuthority: { pem: server.ca }, token: TOKEN });
  const address = { namespace: 'default', pod: name, container: 'main' };
  const open = (request: { readonly command: readonly string[] }): ReturnType<typeof exec> =>
    exec({ api, transport: 'spdy', ...address, ...request });
  const execMs = await timeToStatus(open, ['true']);
  await client.call(`${PODS}/${name}`, { method: 'DELETE', body: { gracePeriodSeconds: 0 } });
  return { startMs, execMs };
}

async function untilRunning(client: ObjectClient, name: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const { status } = JSON.parse((await client.call(`${PODS}/${name}`)).toString()) as Pod;
    if (status?.phase === 'Running') return;
    if (performance.now() > deadline) throw new Error(`pod ${name} does not run: ${JSON.stringify(status)}`);
    await delay(POLL_MS);
  }
}
