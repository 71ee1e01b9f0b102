import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exited } from '../src/common/outcome.ts';
import { BackgroundChild, runChild } from './support/child.ts';
import { ExecServer, podOf } from './support/exec-server.ts';
import { describeWithPeer, requirePeer } from './support/peer.ts';
import { PodwireHop, podwireArgv } from './support/podwire.ts';
import { processesWith } from './support/process-table.ts';
import { Terminal } from './support/terminal.ts';

// The examples run as they stand, on what `npm run build` made.

const folder = resolve(import.meta.dirname, '../examples');
const example = (name: string): string => join(folder, name);
let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'podwire-examples-'));
});
afterEach(() => {
  const left = processesWith(scratch);
  rmSync(scratch, { recursive: true });
  expect(left).toEqual([]);
});

describe('each example', () => {
  for (const name of readdirSync(folder)) {
    it(`${name} is short and says first how it is run`, () => {
      const lines = readFileSync(example(name), 'utf8').trimEnd().split('\n');
      const first = lines.find((line) => !line.startsWith('#!'));
      expect(first).toMatch(new RegExp(`^(?:// node|# sh) examples/${name.replaceAll('.', '\\.')}\\b`));
      expect(lines.length).toBeLessThan(60);
    });
  }
});

describe('against a server that runs every command', () => {
  let server: ExecServer;
  let env: NodeJS.ProcessEnv;
  beforeEach(async () => {
    server = await ExecServer.start({
      pod: podOf(['main']),
      run: async (session) => {
        const { stdin, stdout, stderr, tty } = session;
        if (!tty) stderr!.write('to stderr\n');
        session.onResize(({ width, height }) => stdout!.write(`size ${width}x${height}\r\n`));
        stdout!.write('to stdout\r\n');
        if (tty) {
          await new Promise((done) =>
            stdin!.once('data', (key: Buffer) => stdout!.write(`key ${key.toString()}\r\n`, done)),
          );
        }
        return exited(7);
      },
    });
    const kubeconfig = join(scratch, 'kubeconfig');
    const clusters = [{ name: 'c', cluster: { server: server.url } }];
    const contexts = [{ name: 'c', context: { cluster: 'c' } }];
    writeFileSync(kubeconfig, JSON.stringify({ clusters, contexts, 'current-context': 'c' }));
    env = { ...process.env, KUBECONFIG: kubeconfig };
  });
  afterEach(() => server[Symbol.asyncDispose]());

  it('exec-once shows output and exit code of the command', async () => {
    const argv = [example('exec-once.mjs'), 'web', 'id'];
    const { stdout, stderr, exitCode } = await runChild(process.execPath, argv, { env });
    expect([stdout.toString(), stderr.toString(), exitCode]).toEqual(['to stdout\r\n', 'to stderr\n', 7]);
  });

  it('exec-once says why nothing was started', async () => {
    const argv = [example('exec-once.mjs'), 'other', 'id'];
    const { stderr, exitCode } = await runChild(process.execPath, argv, { env });
    expect([stderr.toString(), exitCode]).toEqual(['not started: not found\n', 125]);
  });

  describeWithPeer('tmux', 'at a terminal', () => {
    it('exec-tty opens a session and gives the terminal back', async () => {
      const script = 'before=$(stty -g); "$@"; echo "code $?"; test "$before" = "$(stty -g)" && echo "as before"';
      const argv = ['sh', '-c', script, 'sh', process.execPath, example('exec-tty.mjs'), 'web'];
      await using terminal = await Terminal.start(argv, { env, columns: 91, rows: 33 });
      await terminal.waitFor('size 91x33');
      await terminal.waitFor('to stdout');
      await terminal.type('x');
      await terminal.waitFor('key x\ncode 7\nas before');
    });
  });
});

it('spdy-echo sends each word through a stream of its own', async () => {
  const { stdout, exitCode } = await runChild(process.execPath, [example('spdy-echo.mjs'), 'two', 'words']);
  expect([stdout.toString(), exitCode]).toEqual(['stream 1: two\nstream 3: words\n', 0]);
});

describeWithPeer('crictl', 'crictl-to-our-runtime', () => {
  it('runs a command in a container of our runtime, and leaves nothing behind', async () => {
    const env = { ...process.env, TMPDIR: scratch, PATH: `${process.env['PATH']}:${dirname(requirePeer('crictl'))}` };
    const argv = [example('crictl-to-our-runtime.sh'), 'sh', '-c', 'echo by $0', 'crictl'];
    const { stdout, exitCode } = await runChild('sh', argv, { env });
    expect(stdout.toString()).toMatch(/Running +main.*\nby crictl\n$/);
    expect(exitCode).toBe(0);
    expect(readdirSync(scratch)).toEqual([]);
  });
});

it('gateway-before-a-real-kubelet leads to the pods of a kubelet that stands alone', async () => {
  const socket = `unix://${join(scratch, 'runtime.sock')}`;
  const manifests = join(scratch, 'manifests');
  mkdirSync(manifests);
  writeFileSync(join(manifests, 'web.json'), JSON.stringify(staticPod('web')));
  await using runtime = await PodwireHop.start('runtime', ['--state-dir', join(scratch, 'rt'), '--listen', socket]);
  const root = join(scratch, 'kubelet');
  const flags = ['--container-runtime-endpoint', socket, '--pod-manifest-path', manifests, '--root-dir', root];
  const ports = ['--port', '0', '--healthz-port', '0', '--hostname-override', 'node1'];
  await using kubelet = await PodwireHop.start('kubelet', [...flags, ...ports]);
  await untilItRuns(kubelet, join(root, 'kubeconfig'));
  const pki = (name: string): string => join(root, 'pki', name);
  const env = { ...process.env, TMPDIR: scratch };
  const argv = [example('gateway-before-a-real-kubelet.mjs'), kubelet.address, pki('kubelet-client.crt')];
  argv.push(pki('kubelet-client.key'), pki('ca/ca.crt'));
  await using gateway = new BackgroundChild(process.execPath, argv, { env });
  await gateway.waitForLog(/^ready /m);
  const [, kubeconfig = ''] = /^kubeconfig (.*)$/m.exec(gateway.log) ?? [];
  expect(dirname(dirname(kubeconfig))).toBe(scratch);
  expect(await exec(['--kubeconfig', kubeconfig, 'web-node1'], 'echo', 'behind a gateway')).toBe('behind a gateway\n');
  await gateway.stop();
  expect((await gateway.exited).exitCode).toBe(0);
  expect(existsSync(kubeconfig)).toBe(false);
  await kubelet.stop();
  await runtime.stop();
});

async function exec(flags: readonly string[], ...command: string[]): Promise<string> {
  const [node = '', ...argv] = podwireArgv('exec', ...flags, '--', ...command);
  const { stdout, stderr } = await runChild(node, argv);
  return stdout.toString() + stderr.toString();
}

async function untilItRuns(kubelet: PodwireHop, kubeconfig: string): Promise<void> {
  const flags = ['--kubeconfig', kubeconfig, '--kubelet', kubelet.address, 'web-node1'];
  await expect.poll(() => exec(flags, 'echo', 'runs'), { timeout: 20_000 }).toBe('runs\n');
}

function staticPod(name: string): object {
  const command = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'];
  const containers = [{ name: 'main', image: 'podwire.local/host', command }];
  const spec = { hostNetwork: true, terminationGracePeriodSeconds: 1, containers };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
}
