import { once } from 'node:events';
import type { Bench } from './bench.ts';
import { startContainerd } from './bench-runtime.ts';
import { BenchHaproxy } from './haproxy.ts';
import { HopPath } from './hop-path.ts';
import { interleave } from './rounds.ts';
import { type OpenSession, type Session, throughHops, throughRelay } from './sessions.ts';
import { median, percentile, times } from './statistics.ts';
import type { Table } from './table.ts';

/** How long one key may take to come back, in ms. */
const ECHO_TIMEOUT_MS = 10_000;
/** A busy session sends this and reads its echo, over and over. */
const BUSY_BYTES = 1024;
const BUSY_EVERY_MS = 100;

/** A key typed and seen, while other sessions are busy on the same way. */
export const echoBench: Bench = {
  name: 'echo',
  about: 'keystroke echo p50 and p99 with busy sessions beside it, beside one plain relay',
  flags: { busy: 100, keys: 200, rounds: 3 },
  run: async (flags, { say, show }) => {
    say('containerd with all sessions');
    await using containerd = await startContainerd();
    const { endpoint: runtimeEndpoint, containerId, cri } = containerd;
    await using plain = await HopPath.start({ runtimeEndpoint, isSecure: false, pod: 'bench' });
    await using secure = await HopPath.start({ runtimeEndpoint, isSecure: true, pod: 'bench' });
    const streaming = await cri.execUrl({ containerId, argv: ['true'] });
    await using haproxy = await BenchHaproxy.tcp(Number(streaming.port));
    const ways: Record<string, OpenSession> = {
      [RELAY]: throughRelay(containerd, haproxy.port),
      'our hops plain, SPDY': throughHops(plain, 'spdy'),
      'our hops TLS, SPDY': throughHops(secure, 'spdy'),
      'our hops TLS, WebSocket': throughHops(secure, 'websocket'),
    };
    const keys = flags.get('keys');
    const contestants = Object.entries(ways).map(([name, open]) => ({
      name,
      run: () => beside(open, flags.get('busy'), () => keystrokes(open, keys)),
    }));
    const samples = await interleave(contestants, flags.get('rounds'), 0);
    show(tableOf(flags.get('busy'), samples));
  },
};

const RELAY = 'one plain relay, SPDY';

/** Runs `measure` while `count` sessions on the same way echo what they are sent. */
async function beside<T>(open: OpenSession, count: number, measure: () => Promise<T>): Promise<T> {
  const sessions: Session[] = [];
  const block = Buffer.alloc(BUSY_BYTES, 'x');
  const timers: NodeJS.Timeout[] = [];
  try {
    for (let index = 0; index < count; index += 1) {
      const session = await open({ command: ['cat'], stdin: true });
      sessions.push(session);
      session.stdout?.resume();
      session.stderr?.resume();
      timers.push(setInterval(() => session.stdin?.write(block), BUSY_EVERY_MS));
    }
    return await measure();
  } finally {
    for (const timer of timers) clearInterval(timer);
    for (const session of sessions) session.abort();
    await Promise.all(sessions.map(({ closed }) => closed));
  }
}

/** Types `count` keys one after the other at a terminal in raw mode, and gives each one's milliseconds until it is seen. */
async function keystrokes(open: OpenSession, count: number): Promise<number[]> {
  const session = await open({ command: ['sh', '-c', 'stty raw -echo; echo ready; exec cat'], stdin: true, tty: true });
  const { stdin, stdout } = session;
  if (stdin === undefined || stdout === undefined) throw new Error('a terminal session has stdin and stdout');
  const signal = AbortSignal.timeout(ECHO_TIMEOUT_MS * 2 + count * 1000);
  try {
    let seen = '';
    while (!seen.includes('ready')) seen += String((await once(stdout, 'data', { signal }))[0]);
    const echoes: number[] = [];
    for (let index = 0; index < count; index += 1) {
      const start = performance.now();
      stdin.write('k');
      await once(stdout, 'data', { signal });
      echoes.push(performance.now() - start);
    }
    return echoes;
  } finally {
    session.abort();
    await session.closed;
  }
}

function tableOf(busy: number, samples: ReadonlyMap<string, number[][]>): Table {
  const p99 = (name: string): number => percentile(samples.get(name)?.flat() ?? [], 99);
  return {
    title: `keystroke echo beside ${busy} busy sessions, containerd`,
    columns: ['', 'p50 ms', 'p99 ms', 'p99 over the relay', 'ratio of p99'],
    rows: [...samples].map(([name, rounds]) => [
      name,
      median(rounds.flat()).toFixed(2),
      p99(name).toFixed(2),
      name === RELAY ? '–' : `${(p99(name) - p99(RELAY)).toFixed(2)} ms`,
      times(p99(name) / p99(RELAY)),
    ]),
    notes: [`A busy session sends ${BUSY_BYTES} bytes to \`cat\` every ${BUSY_EVERY_MS} ms and reads them back.`],
  };
}
