import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findBusybox, imageArchive, TEST_IMAGE } from '../../test/support/image.ts';
import { readUntil } from '../../test/support/read-until.ts';
import {
  ContainerEventType,
  ContainerState,
  CriClient,
  type CriServer,
  NamespaceMode,
  PodSandboxState,
  serveCri,
} from '../cri/index.ts';
import { createRuntime, HOST_IMAGE, ImageStore, type Runtime } from './index.ts';
import { isolationObstacle } from './isolation/index.ts';
import { mountsBelow } from './isolation/mounts.ts';
import { keeperObstacle, markedProcesses } from './process/index.ts';

/** The machine may be busy. */
const POLL = { timeout: 30_000 };

let directory: string;
let stateDir: string;
let runtime: Runtime;
let server: CriServer;
let client: CriClient;
let marker: string;
let isolation = false;
let mended: string[];
const note = (message: unknown): void => {
  const { path, what } = message as { path: string; what: string };
  mended.push(`${path}: ${what}`);
};

async function begin(): Promise<void> {
  runtime = await createRuntime({ stateDir, streamingUrl: () => 'http://127.0.0.1:1/', isolation });
  marker = (JSON.parse(readFileSync(join(stateDir, 'runtime.json'), 'utf8')) as { marker: string }).marker;
  server = await serveCri(runtime.handlers, { socketPath: join(directory, 'cri.sock') });
  client = new CriClient(join(directory, 'cri.sock'));
}

async function end(leaveContainers: boolean): Promise<void> {
  await client.close();
  await server.close();
  await runtime.close({ leaveContainers });
}

async function restart(): Promise<void> {
  await end(true);
  await begin();
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwire-restart-'));
  stateDir = join(directory, 'state');
  isolation = false;
  mended = [];
  subscribe('podwire:runtime:mended', note);
});

afterEach(async () => {
  unsubscribe('podwire:runtime:mended', note);
  await end(false);
  await expect.poll(() => markedProcesses(marker), POLL).toEqual([]);
  expect(mountsBelow(directory)).toEqual([]);
  expect(readdirSync(stateDir).filter((name) => !['images', 'cni', 'pods'].includes(name))).toEqual([]);
  rmSync(directory, { recursive: true });
});

async function pod(name = 'pod'): Promise<string> {
  const metadata = { name, namespace: 'ns', uid: 'u', attempt: 0 };
  const config = { metadata, logDirectory: join(directory, 'logs'), labels: { app: 'a' } };
  return (await client.runtime.runPodSandbox({ config })).podSandboxId;
}

interface More {
  readonly name?: string;
  readonly tty?: boolean;
  readonly stdin?: boolean;
  readonly stdinOnce?: boolean;
  /** Default: processes of its own. */
  readonly pid?: NamespaceMode;
}

async function create(podSandboxId: string, script: string, more: More = {}): Promise<string> {
  const { name = 'main', pid = NamespaceMode.CONTAINER, ...rest } = more;
  const image = { image: isolation ? TEST_IMAGE : HOST_IMAGE };
  const linux = { securityContext: { namespaceOptions: { pid } } };
  const config = {
    metadata: { name, attempt: 0 },
    image,
    command: ['sh', '-c', script],
    logPath: `${name}.log`,
    linux,
    envs: [{ key: 'GREETING', value: Buffer.from('hi') }],
    ...rest,
  };
  return (await client.runtime.createContainer({ podSandboxId, config })).containerId;
}

async function start(podSandboxId: string, script: string, more: More = {}): Promise<string> {
  const containerId = await create(podSandboxId, script, more);
  await client.runtime.startContainer({ containerId });
  return containerId;
}

const status = async (containerId: string) => (await client.runtime.containerStatus({ containerId })).status!;
const log = (name = 'main'): string[] => {
  const lines = readFileSync(join(directory, `logs/${name}.log`), 'utf8').split('\n');
  return lines.slice(0, -1).map((line) => line.replace(/^\S+ /, ''));
};
const sh = async (containerId: string, script: string): Promise<string> => {
  const { stdout, stderr } = await client.runtime.execSync({ containerId, cmd: ['sh', '-c', script], timeout: 60n });
  return Buffer.concat([stdout, stderr]).toString().trim();
};
const attach = async (containerId: string, tty = false) => {
  const { url } = await client.runtime.attach({ containerId, stdin: true, stdout: true, tty });
  return runtime.attach(url.split('/').at(-1)!)!.start();
};
const walls = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);

describe.skipIf(keeperObstacle(true) !== undefined).each([
  ['of the host image', false],
  ['with walls', true],
])('containers %s', (_title, hasWalls) => {
  beforeEach(async ({ skip }) => {
    if (hasWalls && walls !== undefined) skip(walls);
    isolation = hasWalls;
    if (hasWalls) {
      writeFileSync(join(directory, 'image.tar'), imageArchive());
      await new ImageStore(stateDir).import(join(directory, 'image.tar'));
    }
    await begin();
  });

  it('run on while no runtime is there, and are as usable afterwards', async () => {
    const podSandboxId = await pod();
    const before = (await client.runtime.podSandboxStatus({ podSandboxId })).status!;
    const id = await start(podSandboxId, 'n=0; while read x; do n=$((n+1)); echo "$n $x"; done', {
      stdin: true,
      stdinOnce: true,
    });
    const other = await create(podSandboxId, 'exit 3', { name: 'other' });
    const first = await attach(id);
    first.stdin.write('a\n');
    await readUntil(first.stdout, '1 a');
    const was = await status(id);
    await restart();
    expect((await client.runtime.podSandboxStatus({ podSandboxId })).status).toEqual(before);
    expect(await status(id)).toEqual(was);
    expect(was.state).toBe(ContainerState.CONTAINER_RUNNING);
    expect(await sh(id, 'echo $GREETING')).toBe('hi');
    const { stats } = await client.runtime.containerStats({ containerId: id });
    expect(stats!.memory!.rssBytes!.value).toBeGreaterThan(0n);
    await expect(pod()).rejects.toThrow('is reserved for');
    await client.runtime.startContainer({ containerId: other });
    await expect.poll(async () => (await status(other)).exitCode, POLL).toBe(3);
    await client.runtime.removeContainer({ containerId: other });
    await restart();
    await expect(status(other)).rejects.toThrow('NotFound');
    await client.runtime.stopContainer({ containerId: id, timeout: 0n });
    expect(await status(id)).toMatchObject({ exitCode: 137, state: ContainerState.CONTAINER_EXITED });
    await restart();
    expect(await status(id)).toMatchObject({ exitCode: 137, startedAt: was.startedAt });
    await client.runtime.stopPodSandbox({ podSandboxId });
    await restart();
    expect((await client.runtime.podSandboxStatus({ podSandboxId })).status!.state).toBe(
      PodSandboxState.SANDBOX_NOTREADY,
    );
    await client.runtime.removePodSandbox({ podSandboxId });
    expect((await client.runtime.listContainers({})).containers).toEqual([]);
    expect(mended).toEqual([]);
  });

  it('keep every line of their log, also one that was half written', async () => {
    const id = await start(await pod(), 'printf "a\nb"; read x; printf "c\nd\n"; seq 1 2000; read x; exit 4', {
      stdin: true,
    });
    await expect.poll(() => log(), POLL).toEqual(['stdout F a']);
    const first = await attach(id);
    await new Promise((resolve) => first.stdin.write('\n', resolve));
    first.close();
    await restart();
    const numbers = Array.from({ length: 2000 }, (_, at) => `stdout F ${at + 1}`);
    const wanted = ['stdout F a', 'stdout F bc', 'stdout F d', ...numbers];
    await expect.poll(() => log().length, POLL).toBe(wanted.length);
    expect(log()).toEqual(wanted);
    (await attach(id)).stdin.write('\n');
    await expect.poll(async () => (await status(id)).state, POLL).toBe(ContainerState.CONTAINER_EXITED);
    expect(await status(id)).toMatchObject({ exitCode: 4, reason: 'Error' });
  });

  it('that end meanwhile have ended then, with their code and their last words', async () => {
    const id = await start(await pod(), 'read x; echo last; exit 9', { stdin: true });
    await end(true);
    // Its keeper holds the pipe open: nobody else is there.
    writeFileSync(join(stateDir, 'kept', id, 'stdin'), '\n');
    const exit = join(stateDir, 'kept', id, 'exit');
    await expect.poll(() => existsSync(exit), POLL).toBe(true);
    await begin();
    const now = await status(id);
    expect(now).toMatchObject({ state: ContainerState.CONTAINER_EXITED, exitCode: 9, reason: 'Error' });
    expect(now.finishedAt).toBeGreaterThanOrEqual(now.startedAt);
    expect(log()).toEqual(['stdout F last']);
  });

  it('keep their terminal and its size', async () => {
    const id = await start(await pod(), '[ -t 0 ] && echo yes; while read x; do stty size; done', {
      tty: true,
      stdin: true,
    });
    await expect.poll(() => log(), POLL).toEqual(['stdout F yes']);
    await restart();
    const session = await attach(id, true);
    session.resize({ width: 77, height: 22 });
    const seen = readUntil(session.stdout, '22 77');
    const typing = setInterval(() => session.stdin.write('\n'), 50);
    await seen;
    clearInterval(typing);
    session.close();
  });

  it('whose keeper was killed have ended for a reason that is told', async () => {
    const id = await start(await pod(), 'sleep 1000');
    await end(true);
    process.kill(markedProcesses(`${marker}.keeper/${id}`)[0]!.pid, 'SIGKILL');
    await begin();
    expect(await status(id)).toMatchObject({ exitCode: 255, reason: 'Unknown' });
    expect(markedProcesses(`${marker}/${id}`)).toEqual([]);
    expect(mended.join()).toContain('exit code unknown');
  });

  it('that were half made are taken back, and torn records are set aside', async () => {
    const podSandboxId = await pod();
    const [torn, starting] = [
      await start(podSandboxId, 'sleep 1000'),
      await create(podSandboxId, 'exit 5', { name: 'b' }),
    ];
    await end(true);
    const records = join(stateDir, 'records');
    const file = join(records, `container-${torn}.json`);
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, 100));
    const other = join(records, `container-${starting}.json`);
    const record = JSON.parse(readFileSync(other, 'utf8')) as object;
    writeFileSync(other, JSON.stringify({ ...record, phase: { name: 'starting', startedAt: '1' } }));
    writeFileSync(join(records, 'notes.txt'), 'mine');
    writeFileSync(`${file}.123.new`, '{');
    writeFileSync(join(stateDir, 'runtime.json'), '{"mark');
    mkdirSync(join(stateDir, 'containers', 'f'.repeat(64), 'root'), { recursive: true });
    await begin();
    expect((await client.runtime.listContainers({})).containers.map(({ id }) => id)).toEqual([starting]);
    expect(markedProcesses(`${marker}/${torn}`)).toEqual([]);
    expect(readdirSync(join(stateDir, 'containers')).filter((name) => name !== starting)).toEqual([]);
    expect(readdirSync(join(records, 'set-aside'))).toHaveLength(2);
    expect(mended.filter((text) => text.includes('set aside in'))).toHaveLength(2);
    expect(
      mended.filter(
        (text) => text.includes('taken back') || text.includes('written anew') || text.includes('cleared away'),
      ),
    ).toHaveLength(4);
    await client.runtime.startContainer({ containerId: starting });
    await expect.poll(async () => (await status(starting)).exitCode, POLL).toBe(5);
  });
});

describe.skipIf(walls !== undefined || keeperObstacle(true) !== undefined)('pods with walls', () => {
  beforeEach(async () => {
    isolation = true;
    writeFileSync(join(directory, 'image.tar'), imageArchive());
    await new ImageStore(stateDir).import(join(directory, 'image.tar'));
    await begin();
  });

  it('keep no file of a command whose runtime was killed while it ran', async () => {
    const id = await start(await pod(), 'sleep 1000');
    const folder = join(stateDir, 'containers', id);
    const before = readdirSync(folder);
    await end(true);
    for (const name of ['environment-3', 'exec-errors-3']) writeFileSync(join(folder, name), '');
    await begin();
    expect(readdirSync(folder)).toEqual(before);
  });

  /** A pod whose containers share their processes, with one of them. */
  async function shared(): Promise<{ readonly podSandboxId: string; readonly containerId: string }> {
    const podSandboxId = await pod();
    const containerId = await start(podSandboxId, 'sleep 1000', { pid: NamespaceMode.POD });
    return { podSandboxId, containerId };
  }

  /** The first process is a child of who waits for it. */
  function killFirstProcess(podSandboxId: string): void {
    const inits = markedProcesses(`${marker}/${podSandboxId}/pod`);
    const first = inits.find(({ parent }) => inits.some(({ pid }) => pid === parent));
    process.kill(first!.pid, 'SIGKILL');
  }

  const stateOf = async (podSandboxId: string) =>
    (await client.runtime.podSandboxStatus({ podSandboxId })).status!.state;

  it('are not ready any more when their first process dies, and their containers have ended', async () => {
    const { podSandboxId, containerId } = await shared();
    const apart = await start(podSandboxId, 'sleep 1000', { name: 'apart' });
    const events = client.runtime.getContainerEvents({});
    const stopped = (async (): Promise<string[]> => {
      const ids: string[] = [];
      for await (const { containerId: id, containerEventType, podSandboxStatus } of events) {
        if (containerEventType !== ContainerEventType.CONTAINER_STOPPED_EVENT) continue;
        ids.push(id);
        if (id !== podSandboxId) continue;
        expect(podSandboxStatus?.state).toBe(PodSandboxState.SANDBOX_NOTREADY);
        break;
      }
      return ids;
    })();
    killFirstProcess(podSandboxId);
    const ids = await stopped;
    expect(ids).toEqual(expect.arrayContaining([apart, containerId, podSandboxId]));
    expect(await stateOf(podSandboxId)).toBe(PodSandboxState.SANDBOX_NOTREADY);
    for (const id of [apart, containerId]) {
      expect(await status(id)).toMatchObject({ state: ContainerState.CONTAINER_EXITED, exitCode: 137 });
    }
    await expect(create(podSandboxId, 'true', { name: 'late' })).rejects.toThrow('is not running');
    await client.runtime.removePodSandbox({ podSandboxId });
    expect(mended.join()).toContain('its first process has died');
  });

  it('are not ready any more when who waits for their first process dies, and nobody is left of them', async () => {
    const { podSandboxId } = await shared();
    const inits = markedProcesses(`${marker}/${podSandboxId}/pod`);
    const outer = inits.find(({ parent }) => !inits.some(({ pid }) => pid === parent));
    process.kill(outer!.pid, 'SIGKILL');
    await expect.poll(() => stateOf(podSandboxId), POLL).toBe(PodSandboxState.SANDBOX_NOTREADY);
    await expect.poll(() => markedProcesses(`${marker}/${podSandboxId}`), POLL).toEqual([]);
  });

  it('are not ready any more when their first process died while no runtime was there', async () => {
    const { podSandboxId, containerId } = await shared();
    await end(true);
    killFirstProcess(podSandboxId);
    await expect.poll(() => markedProcesses(`${marker}/${podSandboxId}`), POLL).toEqual([]);
    await begin();
    expect(await stateOf(podSandboxId)).toBe(PodSandboxState.SANDBOX_NOTREADY);
    expect(await status(containerId)).toMatchObject({ state: ContainerState.CONTAINER_EXITED });
    await expect(create(podSandboxId, 'true', { name: 'late' })).rejects.toThrow('is not running');
    expect(mended.join()).toContain('its first process has died');
  });

  it('are not ready any more when their first process dies after another runtime took them up', async () => {
    const { podSandboxId, containerId } = await shared();
    await restart();
    expect(await stateOf(podSandboxId)).toBe(PodSandboxState.SANDBOX_READY);
    await start(podSandboxId, 'sleep 1000', { name: 'other', pid: NamespaceMode.POD });
    expect(mended).toEqual([]);
    killFirstProcess(podSandboxId);
    await expect.poll(() => stateOf(podSandboxId), POLL).toBe(PodSandboxState.SANDBOX_NOTREADY);
    await expect.poll(async () => (await status(containerId)).exitCode, POLL).toBe(137);
    await restart();
    expect(await stateOf(podSandboxId)).toBe(PodSandboxState.SANDBOX_NOTREADY);
  });
});
