import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { CertificateAuthority } from '../src/pki/index.ts';
import { residentBytes } from '../test/support/process-table.ts';
import type { Bench } from './bench.ts';
import { startOwnRuntime } from './bench-runtime.ts';
import { HopPath } from './hop-path.ts';
import type { MemoryInUse } from './memory-in-use.ts';
import { type Session, throughHops } from './sessions.ts';
import type { Table } from './table.ts';
import { Worker } from './worker.ts';

/** Sessions that are opened at once. */
const OPENING = 20;
/** What came with the openings is to be over. */
const SETTLE_MS = 5000;

/** Memory of each hop per idle session. */
export const memoryBench: Bench = {
  name: 'memory',
  about: 'memory per idle session and hop, each hop a process',
  flags: { sessions: 1000, secure: 1 },
  run: async (flags, { say, show }) => {
    const count = flags.get('sessions');
    const isSecure = flags.get('secure') !== 0;
    // Processes of their own for each: what the first sessions left behind would hide what the second ones need.
    for (const transport of ['spdy', 'websocket'] as const) {
      say(`${transport}, ${count} sessions`);
      await using runtime = await startOwnRuntime();
      await using hops = await HopPath.start({ runtimeEndpoint: runtime.endpoint, isSecure, pod: 'bench' });
      const workers: Record<string, Worker> = { apiserver: hops.apiserver, kubelet: hops.kubelet };
      if (runtime.worker !== undefined) workers['runtime'] = runtime.worker;
      const open = async (): Promise<Session> => {
        const session = await throughHops(hops, transport)({ command: ['cat'], stdin: true });
        session.stdout?.resume();
        session.stderr?.resume();
        return session;
      };
      const moments = await fillAndEmpty(open, count, () => holdings(workers));
      show(tableOf(`${count} idle sessions, ${transport}, ${isSecure ? 'TLS' : 'plain'}`, count, moments));
    }
    say('bare sockets');
    show(await bareSockets(count, isSecure));
  },
};

/** What can be opened, left idle and closed. */
type Idle = Pick<Session, 'abort' | 'closed'>;

/** The floor: two sockets for each session, as a hop has them, with nothing behind them. */
async function bareSockets(count: number, isSecure: boolean): Promise<Table> {
  const authority = await CertificateAuthority.create('podwire-bench');
  const request = { commonName: 'bench', hosts: ['127.0.0.1'], usages: ['server', 'client'] as const };
  const pair = isSecure ? await authority.issue(request) : undefined;
  await using server = await Worker.start('idle-server', pair === undefined ? {} : { tls: pair });
  const port = await server.ask<number>('port');
  const secureContext = pair && createSecureContext({ cert: pair.certificate, key: pair.key });
  const open = async (): Promise<Idle> => {
    const [one, other] = await Promise.all([dial(port, secureContext), dial(port, secureContext)]);
    const closed = Promise.all([once(one, 'close'), once(other, 'close')]).then(() => {});
    const abort = (): void => {
      one.destroy();
      other.destroy();
    };
    return { abort, closed };
  };
  const moments = await fillAndEmpty(open, count, () => holdings({ 'two bare sockets': server }));
  return tableOf(`${count} pairs of sockets of Node, ${isSecure ? 'TLS' : 'plain'}, nothing else`, count, moments);
}

/** A connection on which a few bytes went each way. */
async function dial(port: number, secureContext: ReturnType<typeof createSecureContext> | undefined): Promise<Socket> {
  const target = { host: '127.0.0.1', port };
  const socket =
    secureContext === undefined
      ? connectTcp(target)
      : connectTls({ ...target, secureContext, rejectUnauthorized: false });
  await once(socket, secureContext === undefined ? 'connect' : 'secureConnect');
  socket.write('some bytes');
  await once(socket, 'data');
  return socket;
}

async function fillAndEmpty(open: () => Promise<Idle>, count: number, look: () => Promise<Holdings>): Promise<Moments> {
  // A first few, for what is loaded once.
  await closeAll(await openMany(open, OPENING));
  const before = await look();
  const sessions = await openMany(open, Math.floor(count / 2));
  await delay(SETTLE_MS);
  const half = await look();
  sessions.push(...(await openMany(open, count - sessions.length)));
  await delay(SETTLE_MS);
  const during = await look();
  await closeAll(sessions);
  await delay(SETTLE_MS);
  return { before, half, during, after: await look() };
}

type Holdings = ReadonlyMap<string, MemoryInUse>;

async function holdings(workers: Readonly<Record<string, Worker>>): Promise<Holdings> {
  const all = new Map<string, MemoryInUse>();
  for (const [name, worker] of Object.entries(workers)) {
    const memory = await worker.ask<MemoryInUse>('memory');
    all.set(name, { ...memory, rss: residentBytes(worker.pid) });
  }
  return all;
}

async function openMany(open: () => Promise<Idle>, count: number): Promise<Idle[]> {
  const sessions: Idle[] = [];
  try {
    while (sessions.length < count) {
      const size = Math.min(OPENING, count - sessions.length);
      sessions.push(...(await Promise.all(Array.from({ length: size }, open))));
    }
    return sessions;
  } catch (error) {
    await closeAll(sessions);
    throw error;
  }
}

async function closeAll(sessions: readonly Idle[]): Promise<void> {
  for (const session of sessions) session.abort();
  await Promise.all(sessions.map(({ closed }) => closed));
}

interface Moments {
  readonly before: Holdings;
  /** With half of the sessions. */
  readonly half: Holdings;
  readonly during: Holdings;
  readonly after: Holdings;
}

function tableOf(title: string, count: number, { before, half, during, after }: Moments): Table {
  const perSession = (name: string, field: keyof MemoryInUse, from: Holdings, sessions: number): string => {
    const bytes = (during.get(name)?.[field] ?? 0) - (from.get(name)?.[field] ?? 0);
    return (bytes / sessions / 1024).toFixed(1);
  };
  return {
    title,
    columns: [
      'hop',
      'RSS KiB each',
      'of the second half',
      'heap',
      'external',
      'RSS before MiB',
      'during',
      'left after',
    ],
    rows: [...before.keys()].map((name) => [
      name,
      perSession(name, 'rss', before, count),
      perSession(name, 'rss', half, count - Math.floor(count / 2)),
      perSession(name, 'heapUsed', before, count),
      perSession(name, 'external', before, count),
      ...[before, during, after].map((moment) => ((moment.get(name)?.rss ?? 0) / 1024 / 1024).toFixed(0)),
    ]),
    notes: [
      'After a full garbage collection. RSS holds what V8 and the allocator keep for later too; what a session adds when the',
      'process has grown to its size is the second half.',
    ],
  };
}
