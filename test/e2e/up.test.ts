import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isolationObstacle } from '../../src/runtime/isolation/index.ts';
import { BackgroundChild, type ChildResult, runChild } from '../support/child.ts';
import { Containerd } from '../support/containerd.ts';
import { freePort } from '../support/free-port.ts';
import { findBusybox, imageArchive, TEST_IMAGE } from '../support/image.ts';
import { describeWithPeer } from '../support/peer.ts';
import { PodwireHop, podwireArgv } from '../support/podwire.ts';
import { processesWith } from '../support/process-table.ts';

// `podwire up` and `npm start` as people start and stop them. Needs `npm run build`. What becomes of sessions when all
// is killed is in ../interop/up-process.test.ts.

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);
let folder: string;
/** At first {@link folder}. */
let stateDir: string;
const ups: PodwireHop[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-up-'));
  stateDir = folder;
});
afterEach(async () => {
  for (const up of ups.splice(0)) await up.stop();
  const left = processesWith(folder);
  for (const { pid } of left) process.kill(pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
  expect(left).toEqual([]);
});

async function up(...flags: string[]): Promise<PodwireHop> {
  const hop = await PodwireHop.start('up', ['--state-dir', stateDir, '--secure-port', '0', ...flags]);
  ups.push(hop);
  return hop;
}

function podwire(...args: string[]): Promise<ChildResult> {
  const [node = '', ...argv] = podwireArgv(...args);
  return runChild(node, argv);
}

async function execDemo(...command: string[]): Promise<string> {
  const kubeconfig = join(stateDir, 'kubeconfig');
  const { stdout, stderr } = await podwire('exec', '--kubeconfig', kubeconfig, 'demo', '--', ...command);
  return stdout.toString() + stderr.toString();
}

/** Every file and folder below `folder`, `folder` itself among them. */
function tree(folder: string): string[] {
  return [folder, ...readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name))];
}

/** Sockets and locks that a stopped `up` has no use for. */
function remains(): string[] {
  return tree(stateDir).filter((path) => statSync(path).isSocket() || path.endsWith('.pid') || path.endsWith('.lock'));
}

function isListening(address: string): Promise<boolean> {
  const { hostname, port } = new URL(address);
  return new Promise((answer) => {
    const socket = connect(Number(port), hostname, () => {
      socket.destroy();
      answer(true);
    }).once('error', () => answer(false));
  });
}

it('prints the path of the kubeconfig and one line ready, and is ready then', async () => {
  const hop = await up();
  expect(hop.log).toBe(`kubeconfig ${join(stateDir, 'kubeconfig')}\nready ${hop.address}\n`);
  expect(hop.address).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  expect(await execDemo('echo', 'at once')).toBe('at once\n');
});

it('lets nobody else read its state, keys and kubeconfig', async () => {
  await up();
  const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
  expect(mode(stateDir)).toBe('700');
  const secrets = tree(stateDir).filter((path) => path.endsWith('.key') || path.endsWith('kubeconfig'));
  expect(secrets.length).toBeGreaterThan(4);
  expect(secrets.filter((path) => mode(path) !== '600')).toEqual([]);
  expect(tree(join(stateDir, 'pki')).filter((path) => statSync(path).isDirectory() && mode(path) !== '700')).toEqual(
    [],
  );
});

it('makes a state folder that is missing, for its owner alone', async () => {
  stateDir = join(folder, 'not', 'there yet');
  await up();
  expect((statSync(stateDir).mode & 0o777).toString(8)).toBe('700');
});

it('listens where --bind-address and --secure-port say, and the kubeconfig leads there', async () => {
  const port = await freePort();
  const hop = await up('--bind-address', '127.0.0.2', '--secure-port', String(port));
  expect(hop.address).toBe(`https://127.0.0.2:${port}`);
  expect(readFileSync(join(stateDir, 'kubeconfig'), 'utf8')).toContain(`https://127.0.0.2:${port}`);
  expect(await execDemo('echo', 'there')).toBe('there\n');
});

it('on all addresses, its own kubeconfig calls loopback', async () => {
  await up('--bind-address', '0.0.0.0');
  expect(readFileSync(join(stateDir, 'kubeconfig'), 'utf8')).toMatch(/https:\/\/127\.0\.0\.1:\d+/);
  expect(await execDemo('echo', 'loopback')).toBe('loopback\n');
});

it('a port that is taken is named, with what to do', async () => {
  const { address } = await up();
  const other = mkdtempSync(join(tmpdir(), 'podwire-up-'));
  try {
    const port = new URL(address).port;
    const { exitCode, stderr } = await podwire('up', '--state-dir', other, '--secure-port', port);
    expect(exitCode).toBe(1);
    expect(stderr.toString()).toContain(`127.0.0.1:${port}`);
    expect(stderr.toString()).toContain('remedy:  choose another port');
    expect(processesWith(other)).toEqual([]);
  } finally {
    rmSync(other, { recursive: true });
  }
});

it('a second one on the same state folder is refused with the process id of the first, which goes on', async () => {
  const first = await up();
  const { exitCode, stderr } = await podwire('up', '--state-dir', stateDir, '--secure-port', '0');
  expect(exitCode).toBe(1);
  expect(stderr.toString()).toContain(`process ${first.pid} already runs with the state folder ${stateDir}`);
  expect(await execDemo('echo', 'goes on')).toBe('goes on\n');
});

it('takes a state folder whose owner was killed, also when its process id belongs to another program now', async () => {
  const first = await up();
  await first.kill();
  const claim = join(stateDir, 'up.pid');
  writeFileSync(claim, readFileSync(claim, 'utf8').replace(String(first.pid), String(process.pid)));
  const next = await up();
  expect(next.pid).not.toBe(first.pid);
  expect(await execDemo('echo', 'again')).toBe('again\n');
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  it(`${signal} ends it with 0 and leaves no process, socket or lock`, async () => {
    const hop = await up();
    hop.signal(signal);
    expect(await hop.exited).toEqual({ exitCode: 0, signal: null });
    expect(processesWith(stateDir)).toEqual([]);
    expect(remains()).toEqual([]);
    expect(await isListening(hop.address)).toBe(false);
  });

  it(`${signal} before it is ready ends it, and leaves no process, socket or lock`, async () => {
    const [node = '', ...args] = podwireArgv('up', '--state-dir', stateDir, '--secure-port', '0');
    const child = new BackgroundChild(node, args);
    while (!existsSync(join(stateDir, 'up.pid'))) await delay(2);
    child.signal(signal);
    expect(await child.exited).toEqual({ exitCode: 0, signal: null });
    expect(child.log).not.toContain('ready');
    expect(processesWith(stateDir)).toEqual([]);
    expect(remains()).toEqual([]);
  });
}

it('has nothing to say of a demo pod that somebody has deleted', async () => {
  const hop = await up();
  const { exitCode } = await podwire('delete', 'pod', 'demo', '--kubeconfig', join(stateDir, 'kubeconfig'));
  expect(exitCode).toBe(0);
  const before = hop.log;
  await hop.stop();
  expect(hop.log).toBe(before);
});

it('two signals at once leave no process behind', async () => {
  const hop = await up();
  hop.signal('SIGINT');
  hop.signal('SIGTERM');
  await hop.exited;
  expect(processesWith(stateDir)).toEqual([]);
});

it('uses less than 150 MB after its first sessions', async () => {
  const hop = await up();
  for (const word of ['one', 'two', 'three']) expect(await execDemo('echo', word)).toBe(`${word}\n`);
  expect(hop.residentBytes).toBeLessThan(150e6);
});

it('npm start without a terminal shows what one command says through all hops, and ends with 0', async () => {
  const cwd = resolve(import.meta.dirname, '../..');
  const env = { ...process.env, TMPDIR: stateDir };
  const { exitCode, stdout } = await runChild('npm', ['start', '--silent'], { cwd, env });
  expect(stdout.toString()).toMatch(/^hello from the container demo of the pod default\/demo/m);
  expect(exitCode).toBe(0);
  expect(readdirSync(stateDir).filter((name) => name.startsWith('podwire'))).toEqual([]);
});

it('podwire demo ends with the exit code of its command', async () => {
  const { exitCode, stdout } = await podwire('demo', '--', 'sh', '-c', 'echo four hops; exit 3');
  expect(stdout.toString()).toBe('four hops\n');
  expect(exitCode).toBe(3);
});

describe.skipIf(obstacle !== undefined)(`up with an image${obstacle === undefined ? '' : ` (${obstacle})`}`, () => {
  it('takes an archive as demo image, and its container has walls; the next one finds it by name', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-up-image-'));
    const archive = join(folder, 'image.tar');
    writeFileSync(archive, imageArchive());
    for (const image of [archive, TEST_IMAGE]) {
      const hop = await up('--demo-image', image);
      expect(await execDemo('sh', '-c', 'busybox | head -n 1; ls /; hostname')).toMatch(/^BusyBox v[^]*\nwww\ndemo\n$/);
      expect(await execDemo('sh', '-c', `ls ${folder}`)).toContain('No such file');
      await hop.stop();
    }
    rmSync(folder, { recursive: true });
  });

  it('names an image that is neither there nor a file', async () => {
    const { exitCode, stderr } = await podwire('up', '--state-dir', stateDir, '--demo-image', 'nowhere:1');
    expect(exitCode).toBe(1);
    expect(stderr.toString()).toMatch(
      /no demo image "nowhere:1".*nor a file\n(.*\n)* {2}remedy: {2}look what there is/,
    );
  });
});

describeWithPeer('containerd', 'up on a real containerd', () => {
  it('runs the demo pod there, by unix socket and by TCP, and takes it away again', async () => {
    await using containerd = await Containerd.start({ tcp: true });
    for (const endpoint of [containerd.endpoint, `tcp://${containerd.tcpAddress}`]) {
      const hop = await up('--container-runtime-endpoint', endpoint, '--demo-image', TEST_IMAGE);
      expect(await execDemo('sh', '-c', 'busybox | head -n 1')).toMatch(/^BusyBox v/);
      expect(await containerd.cri.sandboxIds()).toHaveLength(1);
      await hop.stop();
      expect(await containerd.cri.sandboxIds()).toEqual([]);
    }
  });

  it('says that such a runtime needs an image of its own', async () => {
    const { exitCode, stderr } = await podwire('up', '--container-runtime-endpoint', 'unix:///nowhere.sock');
    expect(exitCode).toBe(1);
    expect(stderr.toString()).toContain('--container-runtime-endpoint needs --demo-image');
  });
});
