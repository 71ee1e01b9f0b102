import { readdirSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { afterAll, expect, it } from 'vitest';
import type { ServerSession } from '../remotecommand/index.ts';
import { runExecSession } from './exec-session.ts';
import { type RunningProcess, sharedFifoPool, startProcess } from './process/index.ts';

// A test worker is killed, so the pool does not see its end.
afterAll(() => sharedFifoPool().close());

const descriptors = (): number => readdirSync('/proc/self/fd').length;

let started = 0;

function start(script: string): Promise<RunningProcess> {
  const marker = `exec-session-${process.pid}-${++started}`;
  const env = { PATH: process.env['PATH'] ?? '' };
  return startProcess({ argv: ['sh', '-c', script], env, cwd: '/', stdin: false, stdout: true, stderr: true, marker });
}

/** A session whose client reads nothing. */
function unreadSession(signal: AbortSignal): ServerSession {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  signal.addEventListener('abort', () => {
    stdout.destroy();
    stderr.destroy();
  });
  return { stdin: undefined, stdout, stderr, tty: false, signal, onResize: () => {} };
}

it('closes the pipes of a command whose client left its output unread', async () => {
  await (await start('exit 0'))[Symbol.asyncDispose]();
  const before = descriptors();
  const leave = new AbortController();
  const session = unreadSession(leave.signal);
  const running = await start('seq 1 1000000');
  const outcome = runExecSession(session, { start: async () => running, hangUpGraceMs: 1_000 });
  await new Promise((resolve) => session.stdout?.once('drain', resolve).once('readable', resolve));
  leave.abort();
  expect(await outcome).toMatchObject({ kind: 'failed', code: 'ERR_CONNECTION_LOST' });
  expect(await running.members()).toEqual([]);
  expect(descriptors()).toBe(before);
});
