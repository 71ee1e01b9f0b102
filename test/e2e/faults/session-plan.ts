import { Buffer } from 'node:buffer';
import { subprotocols } from '../../../src/common/subprotocols.ts';
import type { SeededRandom } from '../../support/seed.ts';
import { podNames } from './chain-pods.ts';

export const transports = ['SPDY v4', 'WebSocket v5', 'WebSocket v4'] as const;
export type Transport = (typeof transports)[number];

/** What a session does, and what its client must see if it is told an exit code. */
export interface SessionPlan {
  readonly title: string;
  readonly transport: Transport;
  /** The library, or the layers below it, where the bytes of the error stream can be looked at. It has no v4 WebSocket. */
  readonly client: 'library' | 'bare';
  readonly pod: string;
  readonly tty: boolean;
  readonly argv: readonly string[];
  /** Sent as soon as the command has said `ready`, or at once without a terminal. Absent: no stdin at all. */
  readonly stdin?: Buffer;
  readonly reader: 'fast' | 'slow';
  /** Undefined for a command that goes on until somebody ends it: then no exit code may be told. */
  readonly expected?: { readonly stdout: Buffer; readonly stderr: Buffer; readonly code: number };
}

/** What a command with a raw terminal says when its terminal is one. */
export const READY = Buffer.from('ready\n');

/** A session of any kind. `marker` is in the command line or environment of each of its processes. */
export function randomPlan(random: SeededRandom, marker: string): SessionPlan {
  const transport = random.pick(transports);
  const base = {
    transport,
    client: transport !== 'WebSocket v4' && random.next() < 0.5 ? ('library' as const) : ('bare' as const),
    pod: random.pick(Object.values(podNames)),
    tty: random.next() < 0.4,
    reader: random.next() < 0.3 ? ('slow' as const) : ('fast' as const),
  };
  const code = random.pick([0, 0, 1, 7, 137, 255]);
  const kind = random.pick(['output', 'output', 'output', 'echo', 'echo', 'quiet', 'deaf'] as const);
  const argv = (script: string): string[] => ['sh', '-c', `export FAULT_MARKER="$0"; ${script}`, marker];
  switch (kind) {
    case 'output': {
      const lines = random.pick([10, 2_000, 20_000, 150_000]);
      const errors = base.tty ? 0 : random.pick([0, 5, 3_000]);
      const expected = { stdout: seq(lines, base.tty), stderr: seq(errors, false), code };
      const script = `seq 1 ${lines}; ${errors === 0 ? '' : `seq 1 ${errors} >&2;`} exit ${code}`;
      return { ...base, title: `${lines} and ${errors} lines`, argv: argv(script), expected };
    }
    case 'echo': {
      // Below v5 a WebSocket cannot say EOF, so the command counts.
      const stdin = Buffer.from(random.bytes(random.pick([1, 3_000, 200_000])));
      const script = `${base.tty ? 'stty raw -echo; echo ready; ' : ''}head -c ${stdin.length}; exit ${code}`;
      const stdout = base.tty ? Buffer.concat([READY, stdin]) : stdin;
      const expected = { stdout, stderr: Buffer.alloc(0), code };
      return { ...base, title: `${stdin.length} bytes echoed`, argv: argv(script), stdin, expected };
    }
    case 'quiet': {
      // It also does not care about the hang-up, and has a child that left its session and its parent.
      const script = 'trap "" HUP; (setsid sleep 100000 &); sleep 100000';
      return { ...base, title: 'quiet and deaf to the hang-up', argv: argv(script) };
    }
    case 'deaf': {
      const stdin = Buffer.alloc(random.pick([1_000, 4_000_000]), 'x');
      const script = base.tty ? 'stty raw -echo; echo ready; sleep 100000' : 'sleep 100000';
      return { ...base, title: `${stdin.length} bytes unread`, argv: argv(script), stdin };
    }
  }
}

/** For messages. */
export function describePlan({ client, transport, tty, title, reader, pod }: SessionPlan): string {
  return `${client} ${transport}${tty ? ' with a terminal' : ''}, ${title}, ${reader} reader, pod ${pod}`;
}

/** What `seq 1 last` prints; a terminal has a carriage return before each newline. */
export function seq(last: number, tty: boolean): Buffer {
  const end = tty ? '\r\n' : '\n';
  let text = '';
  for (let line = 1; line <= last; line += 1) text += `${line}${end}`;
  return Buffer.from(text);
}

/** Offered by a client of `transport`; there is no second offer, so that a seed decides everything. */
export function protocolOf(transport: Transport): string {
  return transport === 'WebSocket v5' ? subprotocols.v5 : subprotocols.v4;
}
