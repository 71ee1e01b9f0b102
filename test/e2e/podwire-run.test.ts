import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { type Cluster, startCluster } from '../../src/cluster/index.ts';
import { MemoryIo } from '../support/memory-io.ts';
import { describeWithPeer } from '../support/peer.ts';
import { podwireArgv } from '../support/podwire.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { Terminal } from '../support/terminal.ts';

// `podwire run` that joins its pod. The part at a terminal needs `npm run build`.

const OVERRIDES = JSON.stringify({ spec: { hostNetwork: true, terminationGracePeriodSeconds: 1 } });
const flags = ['--image=podwire.local/host', '--restart=Never', `--overrides=${OVERRIDES}`];

let folder: string;
let cluster: Cluster;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-run-'));
  cluster = await startCluster({ stateDir: folder, securePort: 0, version: '0.0.0' });
}, 60_000);

afterAll(async () => {
  await cluster.close();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** What a command wrote to stdout and stderr and how it ended; podwire's further lines about a failure left out. */
async function ended(io: MemoryIo, code: Promise<number>): Promise<readonly [out: string, err: string, code: number]> {
  const exitCode = await code;
  return [io.out.text, io.err.text.replace(/^ {2}\w+: .*\n/gm, ''), exitCode];
}

function start(io: MemoryIo, args: readonly string[]): ReturnType<typeof ended> {
  const [command = '', ...rest] = args;
  return ended(io, runCli([command, '--kubeconfig', cluster.kubeconfig, ...rest], io));
}

const podwire = (...args: readonly string[]): ReturnType<typeof ended> => start(new MemoryIo(), args);

/** `podwire run` with a shell script. */
const run = (name: string, script: string, ...more: readonly string[]): readonly string[] => [
  'run',
  name,
  ...flags,
  ...more,
  '--command',
  '--',
  'sh',
  '-c',
  script,
];

const PROMPT = "If you don't see a command prompt, try pressing enter.\n";

const isGone = async (name: string): Promise<void> => {
  const [, err, code] = await podwire('wait', '--for=delete', `pod/${name}`, '--timeout=20s');
  expect([err, code]).toEqual(['', 0]);
};

describe('podwire run --attach', { timeout: 60_000 }, () => {
  it('passes stdin on and ends with the code of the command; with --rm the pod goes', async () => {
    const io = new MemoryIo(PassThrough.from(['a line\n']));
    const script = 'read line; echo "got $line"; echo complaint >&2; exit 4';
    expect(await start(io, run('in', script, '-i', '--rm'))).toEqual([
      'got a line\npod "in" deleted\n',
      `${PROMPT}complaint\npod default/in terminated (Error)\n`,
      4,
    ]);
    await isGone('in');
  });

  it('shows what a command wrote that had ended before it was joined', async () => {
    for (const pause of ['', 'sleep 0.1; ', 'sleep 0.3; ']) {
      const [out, err, code] = await podwire(...run('short', `echo hello; ${pause}exit 0`, '--attach', '--rm', '-q'));
      expect([out, err.replace(/^warning: couldn't attach.*\n/, ''), code]).toEqual(['hello\n', '', 0]);
      await isGone('short');
    }
  });

  it('leaves the pod without --rm, and takes none away that it did not make', async () => {
    expect((await podwire(...run('stays', 'exit 3', '--attach', '-q')))[2]).toBe(3);
    expect(await podwire(...run('stays', 'exit 0', '--attach', '--rm'))).toEqual([
      '',
      'Error from server (AlreadyExists): pods "stays" already exists\n',
      125,
    ]);
    expect(await podwire('get', 'pod', 'stays', '-o', 'name')).toEqual(['pod/stays\n', '', 0]);
    await podwire('delete', 'pod', 'stays', '--now');
  });

  it('takes the pod away by a signal, before it runs and when it is joined', async () => {
    const io = new MemoryIo(new PassThrough());
    const joined = start(io, run('joined', 'echo here; exec sleep 1000', '-i', '--rm'));
    await expect.poll(() => io.err.text, { timeout: 20_000 }).toContain('command prompt');
    io.signal('SIGINT');
    const [out, err, code] = await joined;
    expect([out.replace(/^here\n/, ''), err, code]).toEqual(['pod "joined" deleted\n', PROMPT, 130]);
    await isGone('joined');

    const waiting = new MemoryIo();
    const nowhere = ['run', 'early', ...flags, '--image=podwire.local/nope', '--attach', '--rm'];
    const early = start(waiting, nowhere);
    await expect
      .poll(async () => (await podwire('get', 'pod', 'early', '-o', 'name'))[0], { timeout: 20_000 })
      .toBe('pod/early\n');
    waiting.signal('SIGTERM');
    expect(await early).toEqual(['pod "early" deleted\n', '', 143]);
    await isGone('early');
  });

  it('takes the pod away when the connection was lost, which is no exit of the command', async () => {
    const port = Number(new URL(cluster.server).port);
    await using proxy = await TcpProxy.start({ host: '127.0.0.1', port });
    const io = new MemoryIo(new PassThrough());
    const script = 'while :; do echo here; sleep 0.2; done';
    const lost = start(io, run('lost', script, '-i', '--rm', '-s', `https://127.0.0.1:${proxy.port}`));
    await expect.poll(() => io.out.text, { timeout: 20_000 }).toContain('here\n');
    proxy.resetAll();
    const [out, err, code] = await lost;
    expect([out.replace(/^(?:here\n)+/, ''), code]).toEqual(['pod "lost" deleted\n', 125]);
    expect(err).toMatch(/^error: .*(?:ECONNRESET|reset|lost).*$/m);
    await isGone('lost');
  });

  it('says which pod it could not take away when the server is gone', async () => {
    const proxy = await TcpProxy.start({ host: '127.0.0.1', port: Number(new URL(cluster.server).port) });
    const io = new MemoryIo(new PassThrough());
    const script = 'while :; do echo here; sleep 0.2; done';
    const lost = start(io, run('left', script, '-i', '--rm', '-s', `https://127.0.0.1:${proxy.port}`));
    await expect.poll(() => io.out.text, { timeout: 20_000 }).toContain('here\n');
    await proxy[Symbol.asyncDispose]();
    const [, , code] = await lost;
    expect(code).toBe(125);
    expect(io.err.text).toContain('  remedy:  delete the pod: podwire delete pod left -n default\n');
    expect(await podwire('delete', 'pod', 'left', '--now')).toEqual(['pod "left" deleted\n', '', 0]);
  });

  it('says what the pod waits for when it does not run in time', async () => {
    const io = new MemoryIo();
    const args = ['run', 'never', ...flags, '--image=podwire.local/nope', '--image-pull-policy=Never', '--attach'];
    expect(await start(io, [...args, '--rm', '--pod-running-timeout=2s'])).toEqual([
      'pod "never" deleted\n',
      'error: timed out waiting for the condition\n',
      125,
    ]);
    expect(io.err.text).toMatch(/where: {3}pod never, container never: (?:Err|ImagePullBackOff: )/);
  });
});

describeWithPeer('tmux', 'podwire run -it', () => {
  it('is a shell on the terminal, whose pod goes with it', { timeout: 60_000 }, async () => {
    const argv = podwireArgv('run', 'try', ...flags, '-it', '--rm', '--kubeconfig', cluster.kubeconfig, '--command');
    await using terminal = await Terminal.start([...argv, '--', 'sh']);
    await terminal.waitFor('command prompt');
    await terminal.type('stty size\n');
    await terminal.waitFor(/^24 80$/m);
    await terminal.type('sleep 100\n');
    await terminal.press('C-c');
    await terminal.type('echo on; exit 7\n');
    await terminal.waitFor('pod "try" deleted');
    expect(await terminal.exitCode()).toBe(7);
    await isGone('try');
  });
});
