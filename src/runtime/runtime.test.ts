import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, watch, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ContainerState, CriClient, type CriServer, PodSandboxState, Signal, serveCri } from '../cri/index.ts';
import { createRuntime, HOST_IMAGE, HOST_IMAGE_ID, type Runtime } from './index.ts';
import { listPids, readEnvironment } from './process/process-table.ts';

let directory: string;
let runtime: Runtime;
let server: CriServer;
let client: CriClient;
let marker: string;
let attempt = 0;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'podwire-runtime-'));
  runtime = await createRuntime({ stateDir: join(directory, 'state'), streamingUrl: () => 'http://127.0.0.1:1/' });
  marker = (JSON.parse(readFileSync(join(directory, 'state/runtime.json'), 'utf8')) as { marker: string }).marker;
  server = await serveCri(runtime.handlers, { socketPath: join(directory, 'cri.sock') });
  client = new CriClient(join(directory, 'cri.sock'));
});

afterEach(async () => {
  await client.close();
  await server.close();
  await runtime.close();
  expect(ours()).toEqual([]);
  rmSync(directory, { recursive: true });
});

/** Processes that carry the mark of this test's runtime. */
const ours = (): number[] => listPids().filter((pid) => readEnvironment(pid).includes(`PODWIRE_SESSION=${marker}/`));

async function sandbox(): Promise<string> {
  attempt += 1;
  const metadata = { name: 'pod', namespace: 'ns', uid: 'u', attempt };
  const config = { metadata, hostname: 'pod', logDirectory: join(directory, 'logs'), labels: { app: 'a' } };
  return (await client.runtime.runPodSandbox({ config })).podSandboxId;
}

interface More {
  name?: string;
  tty?: boolean;
  stdin?: boolean;
  stdinOnce?: boolean;
  stopSignal?: Signal;
  workingDir?: string;
  linux?: { securityContext: { runAsUser?: { value: bigint }; supplementalGroups?: bigint[]; runAsUsername?: string } };
  mounts?: { containerPath: string; hostPath: string }[];
  envs?: { key: string; value: Uint8Array<ArrayBuffer> }[];
}

async function create(podSandboxId: string, command: string[], more: More = {}): Promise<string> {
  const { name = 'main', ...rest } = more;
  const envs = [{ key: 'GREETING', value: Buffer.from('hi') }];
  const metadata = { name, attempt: 1 };
  const image = { image: HOST_IMAGE };
  const config = { metadata, image, command, envs, logPath: `${name}/0.log`, labels: { name }, ...rest };
  return (await client.runtime.createContainer({ podSandboxId, config })).containerId;
}

async function running(command: string[], more: More = {}): Promise<string> {
  const containerId = await create(await sandbox(), command, more);
  await client.runtime.startContainer({ containerId });
  return containerId;
}

const status = async (containerId: string) => (await client.runtime.containerStatus({ containerId })).status!;

async function exited(containerId: string) {
  for (;;) {
    const now = await status(containerId);
    if (now.state === ContainerState.CONTAINER_EXITED) return now;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const log = (name = 'main'): string[] =>
  readFileSync(join(directory, `logs/${name}/0.log`), 'utf8')
    .split('\n')
    .map((line) => line.replace(/^\S+ /, ''));

async function text(stream: Readable | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream!) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const tokenOf = ({ url }: { url: string }): string => url.split('/').at(-1)!;

describe('the runtime itself', () => {
  it('says who it is, that it is ready, and plainly that it isolates nothing', async () => {
    const version = await client.runtime.version({ version: '0.1.0' });
    expect(version).toMatchObject({ version: '0.1.0', runtimeName: 'podwire', runtimeApiVersion: 'v1' });
    expect(version.runtimeVersion).toMatch(/^\d+\.\d+\.\d+/);
    const { conditions } = (await client.runtime.status({})).status!;
    expect(conditions.map(({ type, status }) => [type, status])).toEqual([
      ['RuntimeReady', true],
      ['NetworkReady', true],
      ['ContainersIsolated', false],
      ['ResourceLimits', false],
    ]);
    expect(conditions[2]!.message).toContain('processes of this host');
  });

  it('has one image under all its names, and no other', async () => {
    const uid = { value: BigInt(process.getuid?.() ?? 0) };
    expect((await client.image.imageStatus({ image: { image: HOST_IMAGE } })).image).toMatchObject({ uid });
    for (const image of [HOST_IMAGE, `${HOST_IMAGE}:latest`, HOST_IMAGE_ID, HOST_IMAGE_ID.slice(7, 19)]) {
      expect((await client.image.imageStatus({ image: { image } })).image?.id).toBe(HOST_IMAGE_ID);
    }
    expect((await client.image.imageStatus({ image: { image: 'busybox' } })).image).toBeUndefined();
    expect((await client.image.listImages({})).images.map(({ id, pinned }) => [id, pinned])).toEqual([
      [HOST_IMAGE_ID, true],
    ]);
    expect((await client.image.pullImage({ image: { image: HOST_IMAGE } })).imageRef).toBe(HOST_IMAGE_ID);
    await expect(client.image.pullImage({ image: { image: 'busybox' } })).rejects.toThrow('NotFound');
    expect(await client.image.removeImage({ image: { image: 'busybox' } })).toBeDefined();
    const [usage] = (await client.image.imageFsInfo({})).imageFilesystems;
    expect(usage!.timestamp > 0n && usage!.fsId!.mountpoint).toBe(join(directory, 'state'));
    // What images take, not what the whole disk holds: none has been imported.
    expect(usage!.usedBytes!.value).toBe(0n);
  });

  it('does not share its state directory', async () => {
    const claim = join(directory, 'state/runtime.json');
    const own = JSON.parse(readFileSync(claim, 'utf8')) as object;
    const stat = readFileSync('/proc/1/stat', 'latin1');
    const startTicks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
    writeFileSync(claim, JSON.stringify({ ...own, pid: 1, startTicks }));
    await expect(createRuntime({ stateDir: join(directory, 'state') })).rejects.toMatchObject({
      code: 'ERR_STATE_IN_USE',
    });
    writeFileSync(claim, JSON.stringify(own));
  });
});

describe('pods', () => {
  it('go from ready to not ready to gone, and stop and remove may be said twice', async () => {
    const podSandboxId = await sandbox();
    const state = async () => (await client.runtime.podSandboxStatus({ podSandboxId })).status!.state;
    expect(podSandboxId).toMatch(/^[0-9a-f]{64}$/);
    expect(await state()).toBe(PodSandboxState.SANDBOX_READY);
    const containerId = await create(podSandboxId, ['sleep', '1000']);
    await client.runtime.startContainer({ containerId });
    await client.runtime.stopPodSandbox({ podSandboxId });
    await client.runtime.stopPodSandbox({ podSandboxId });
    expect(await state()).toBe(PodSandboxState.SANDBOX_NOTREADY);
    expect((await status(containerId)).state).toBe(ContainerState.CONTAINER_EXITED);
    await client.runtime.removePodSandbox({ podSandboxId });
    await client.runtime.removePodSandbox({ podSandboxId });
    await expect(state()).rejects.toThrow(/NotFound.*try to find sandbox/);
    await expect(status(containerId)).rejects.toThrow('NotFound');
  });

  it('are listed by id, prefix, state and labels; what is not there is an empty list', async () => {
    const id = await sandbox();
    const list = async (filter?: Parameters<typeof client.runtime.listPodSandbox>[0]['filter']) =>
      (await client.runtime.listPodSandbox(filter === undefined ? {} : { filter })).items.map((item) => item.id);
    expect(await list()).toEqual([id]);
    expect(await list({ id: id.slice(0, 12) })).toEqual([id]);
    expect(await list({ id: 'nope' })).toEqual([]);
    expect(await list({ labelSelector: { app: 'a' } })).toEqual([id]);
    expect(await list({ labelSelector: { app: 'b' } })).toEqual([]);
    expect(await list({ state: { state: PodSandboxState.SANDBOX_NOTREADY } })).toEqual([]);
  });

  it('have no namespace of their own, so no setting of the kernel is taken', async () => {
    const metadata = { name: 'pod', namespace: 'ns', uid: 'u', attempt: 0 };
    const linux = { sysctls: { 'kernel.msgmax': readFileSync('/proc/sys/kernel/msgmax', 'utf8').trim() } };
    const refused = client.runtime.runPodSandbox({ config: { metadata, linux } });
    await expect(refused).rejects.toThrow(/InvalidArgument.*sysctl "kernel\.msgmax" belongs to the ipc namespace/);
  });

  it('have a name of their own, and only the default handler', async () => {
    await sandbox();
    attempt -= 1;
    await expect(sandbox()).rejects.toThrow(/is reserved for/);
    const config = { metadata: { name: 'p', namespace: 'n', uid: 'u', attempt: 0 } };
    await expect(client.runtime.runPodSandbox({ config, runtimeHandler: 'kata' })).rejects.toThrow(
      'no runtime for "kata"',
    );
  });
});

describe('containers', () => {
  it('go from created to running to exited, with times and the exit code', async () => {
    const containerId = await create(await sandbox(), ['sh', '-c', 'echo $GREETING; exit 3']);
    expect(await status(containerId)).toMatchObject({ state: ContainerState.CONTAINER_CREATED, startedAt: 0n });
    await client.runtime.startContainer({ containerId });
    const end = await exited(containerId);
    expect(end).toMatchObject({ exitCode: 3, reason: 'Error', imageId: HOST_IMAGE_ID, labels: { name: 'main' } });
    expect(end.startedAt > 0n && end.finishedAt >= end.startedAt).toBe(true);
    expect(log()).toEqual(['stdout F hi', '']);
    await expect(client.runtime.startContainer({ containerId })).rejects.toThrow('is in CONTAINER_EXITED state');
  });

  it('that cannot start end with code 128, StartError and the reason', async () => {
    const containerId = await create(await sandbox(), ['nope']);
    await expect(client.runtime.startContainer({ containerId })).rejects.toThrow('executable file not found in $PATH');
    expect(await status(containerId)).toMatchObject({ exitCode: 128, reason: 'StartError' });
  });

  it('stop by their signal, or are killed after the grace; stopping twice or nothing is fine', async () => {
    const script = 'trap "exit 5" USR1; echo up; while :; do sleep 0.02; done';
    const polite = await running(['sh', '-c', script], { stopSignal: Signal.SIGUSR1 });
    await waitForLog('main', 'stdout F up');
    await client.runtime.stopContainer({ containerId: polite, timeout: 30n });
    expect(await status(polite)).toMatchObject({ exitCode: 5, state: ContainerState.CONTAINER_EXITED });
    const stubborn = await running(['sh', '-c', 'trap "" TERM; echo up; sleep 1000'], { name: 'deaf' });
    await waitForLog('deaf', 'stdout F up');
    await client.runtime.stopContainer({ containerId: stubborn, timeout: 1n });
    expect(await status(stubborn)).toMatchObject({ exitCode: 137 });
    await client.runtime.stopContainer({ containerId: stubborn, timeout: 0n });
    await client.runtime.stopContainer({ containerId: 'nope', timeout: 0n });
  });

  it('are removed running or not, twice too, with their directory and their daemons', async () => {
    const script = 'pwd; (setsid sh -c "echo up; exec sleep 1000" &); exec sleep 1000';
    const containerId = await running(['sh', '-c', script]);
    await waitForLog('main', 'stdout F up');
    expect(log()[0]).toMatch(/^stdout F \/.*\/containers\//);
    expect(ours().length).toBeGreaterThanOrEqual(2);
    await client.runtime.removeContainer({ containerId });
    await client.runtime.removeContainer({ containerId });
    expect(ours()).toEqual([]);
    expect(existsSync(join(directory, 'state/containers', containerId))).toBe(false);
  });

  it('are listed by pod, state and labels', async () => {
    const pod = await sandbox();
    const a = await create(pod, ['true'], { name: 'a' });
    const b = await create(pod, ['sleep', '1000'], { name: 'b' });
    await client.runtime.startContainer({ containerId: b });
    type Filter = Parameters<typeof client.runtime.listContainers>[0]['filter'];
    const list = async (filter: NonNullable<Filter>) =>
      (await client.runtime.listContainers({ filter })).containers.map((container) => container.id);
    expect(await list({ podSandboxId: pod })).toEqual([a, b]);
    expect(await list({ podSandboxId: 'nope' })).toEqual([]);
    expect(await list({ state: { state: ContainerState.CONTAINER_RUNNING } })).toEqual([b]);
    expect(await list({ labelSelector: { name: 'a' } })).toEqual([a]);
    expect(await list({ id: b, podSandboxId: pod })).toEqual([b]);
    const { stats } = await client.runtime.listContainerStats({});
    expect(stats.map(({ attributes }) => attributes!.id)).toEqual([b]);
    expect(stats[0]!.cpu!.timestamp > 0n && stats[0]!.memory!.rssBytes!.value > 0n).toBe(true);
  });

  it('are refused with an unknown image, without command or with a log path that leaves the pod', async () => {
    const podSandboxId = await sandbox();
    const metadata = { name: 'x', attempt: 0 };
    const make = (config: object) =>
      client.runtime.createContainer({
        podSandboxId,
        config: { metadata, command: ['true'], image: { image: HOST_IMAGE }, ...config },
      });
    await expect(make({ image: { image: 'busybox' } })).rejects.toThrow('NotFound');
    await expect(make({ command: [] })).rejects.toThrow('no command specified');
    await expect(make({ logPath: '../x' })).rejects.toThrow('is not inside');
    await expect(make({ linux: { securityContext: { privileged: true } } })).rejects.toThrow('no privileged container');
    await expect(make({ linux: { securityContext: { runAsGroup: { value: 1n } } } })).rejects.toThrow(
      'InvalidArgument',
    );
  });

  it.skipIf(process.getuid?.() !== 0)('run as their user, in a directory that is theirs; execs too', async () => {
    const securityContext = { runAsUser: { value: 12_345n }, supplementalGroups: [7n] };
    const containerId = await running(['sh', '-c', 'touch mine; id -u; id -G; sleep 1000'], {
      linux: { securityContext },
    });
    await waitForLog('main', 'stdout F 0 7');
    expect(log()[0]).toBe('stdout F 12345');
    const { stdout } = await client.runtime.execSync({ containerId, cmd: ['stat', '-c', '%u', 'mine'] });
    expect(Buffer.from(stdout).toString()).toBe('12345\n');
    expect((await status(containerId)).user!.linux).toMatchObject({
      uid: 12_345n,
      gid: 0n,
      supplementalGroups: [0n, 7n],
    });
    const unknown = { securityContext: { runAsUsername: 'no-such-user' } };
    await expect(running(['true'], { linux: unknown })).rejects.toThrow('no user "no-such-user" in /etc/passwd');
  });

  it('are told of with the pod’s own status', async () => {
    const podSandboxId = await sandbox();
    const containerId = await create(podSandboxId, ['true']);
    const { containersStatuses, timestamp } = await client.runtime.podSandboxStatus({ podSandboxId });
    expect(containersStatuses.map(({ id }) => id)).toEqual([containerId]);
    expect(timestamp).toBeGreaterThan(0n);
    expect(await client.runtime.updatePodSandboxResources({ podSandboxId })).toMatchObject({});
    await expect(client.runtime.updatePodSandboxResources({ podSandboxId: 'none' })).rejects.toThrow('NotFound');
  });

  it('are refused a variable that is no text', async () => {
    const envs = [{ key: 'BYTES', value: Uint8Array.of(0xff) }];
    await expect(create(await sandbox(), ['true'], { envs })).rejects.toThrow(
      'the value of environment variable BYTES is not UTF-8',
    );
  });

  it('say which mounts were asked for and not made', async () => {
    const mounts = [{ containerPath: '/data', hostPath: '/tmp' }];
    const containerId = await create(await sandbox(), ['true'], { mounts });
    const { status, info } = await client.runtime.containerStatus({ containerId, verbose: true });
    expect(status!.mounts.map(({ containerPath }) => containerPath)).toEqual(['/data']);
    expect(JSON.parse(info['info']!)).toMatchObject({ isolation: 'none', mountsNotMade: ['/data'] });
  });

  it('log again to a new file after the old one was renamed', async () => {
    const containerId = await running(['sh', '-c', 'echo one; while read line; do echo "$line"; done'], {
      stdin: true,
    });
    await waitForLog('main', 'stdout F one');
    const path = join(directory, 'logs/main/0.log');
    renameSync(path, `${path}.1`);
    await client.runtime.reopenContainerLog({ containerId });
    const ticket = runtime.attach(tokenOf(await client.runtime.attach({ containerId, stdin: true })));
    const session = ticket!.start();
    session.stdin.write('two\n');
    await waitForLog('main', 'stdout F two');
    expect(readFileSync(`${path}.1`, 'utf8')).not.toContain('two');
    session.close();
  });
});

async function waitForLog(name: string, wanted: string | RegExp): Promise<void> {
  const file = join(directory, 'logs', name, '0.log');
  const isThere = (): boolean =>
    log(name).some((line) => (typeof wanted === 'string' ? line === wanted : wanted.test(line)));
  const watcher = watch(file);
  try {
    while (!isThere()) await once(watcher, 'change');
  } finally {
    watcher.close();
  }
}

describe('ExecSync', () => {
  it('answers with output and exit code, in the environment of the container', async () => {
    const containerId = await running(['sleep', '1000']);
    const cmd = ['sh', '-c', 'echo $GREETING $HOSTNAME; echo err >&2; exit 9'];
    const { stdout, stderr, exitCode } = await client.runtime.execSync({ containerId, cmd });
    expect([Buffer.from(stdout).toString(), Buffer.from(stderr).toString(), exitCode]).toEqual([
      'hi pod\n',
      'err\n',
      9,
    ]);
  });

  it('kills everything at its timeout and says DeadlineExceeded', async () => {
    const containerId = await running(['sleep', '1000']);
    const cmd = ['sh', '-c', '(setsid sleep 1000 &); sleep 1000'];
    await expect(client.runtime.execSync({ containerId, cmd, timeout: 1n })).rejects.toThrow(
      'DeadlineExceeded desc = failed to exec in container: timeout 1s exceeded',
    );
    expect(ours().length).toBe(1);
  });

  it('throws output away beyond 16 MiB and lets the command end', async () => {
    const containerId = await running(['sleep', '1000']);
    const { execSync } = runtime.handlers.runtime!;
    const request = { containerId, cmd: ['head', '-c', '20000000', '/dev/zero'], timeout: 0n };
    const answer = await execSync!(request as never, { signal: new AbortController().signal });
    expect([answer.stdout!.length, answer.exitCode]).toEqual([16 * 1024 * 1024, 0]);
  });

  it('needs a running container and a command that exists', async () => {
    const containerId = await create(await sandbox(), ['true']);
    await expect(client.runtime.execSync({ containerId, cmd: ['true'] })).rejects.toThrow(
      'is in CONTAINER_CREATED state',
    );
    const other = await running(['sleep', '1000'], { name: 'other' });
    await expect(client.runtime.execSync({ containerId: other, cmd: ['nope'] })).rejects.toThrow(
      'executable file not found',
    );
  });
});

describe('streams', () => {
  it('are checked before a URL is handed out', async () => {
    const containerId = await running(['sleep', '1000']);
    const cmd = ['true'];
    await expect(client.runtime.exec({ cmd, stdout: true })).rejects.toThrow('missing required container_id');
    await expect(client.runtime.exec({ containerId, cmd })).rejects.toThrow(
      'one of stdin, stdout, or stderr must be set',
    );
    await expect(client.runtime.exec({ containerId, cmd, tty: true, stderr: true })).rejects.toThrow(
      'cannot both be true',
    );
    await expect(client.runtime.exec({ containerId: 'nope', cmd, stdout: true })).rejects.toThrow('NotFound');
    await expect(client.runtime.portForward({})).rejects.toThrow('missing required pod_sandbox_id');
    const { url } = await client.runtime.exec({ containerId: containerId.slice(0, 12), cmd, stdout: true });
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:1\/exec\/[\w-]{8}$/);
  });

  it('of exec: the token says what to start, once', async () => {
    const containerId = await running(['sleep', '1000']);
    const cmd = ['sh', '-c', 'stty size; read line; echo got $line $GREETING; exit 4'];
    const token = tokenOf(await client.runtime.exec({ containerId, cmd, tty: true, stdin: true, stdout: true }));
    const ticket = runtime.exec(token)!;
    expect(runtime.exec(token)).toBeUndefined();
    expect(ticket.request).toEqual({ containerId, argv: cmd, tty: true, stdin: true, stdout: true, stderr: false });
    const process = await ticket.start({ width: 99, height: 11 });
    const output = text(process.stdout);
    process.stdin!.write('it\n');
    expect(await process.exited).toEqual({ code: 4 });
    expect((await output).split('\r\n')).toEqual(expect.arrayContaining(['11 99', 'got it hi']));
  });

  it('of exec end with the container', async () => {
    const containerId = await running(['sleep', '1000']);
    const token = tokenOf(await client.runtime.exec({ containerId, cmd: ['sleep', '1000'], stdout: true }));
    const process = await runtime.exec(token)!.start();
    await client.runtime.stopContainer({ containerId, timeout: 0n });
    expect(await process.exited).toEqual({ code: 137, signal: 'SIGKILL' });
  });

  it('of attach: all who are attached get the output, and stdinOnce ends stdin with the first', async () => {
    const containerId = await running(['cat'], { stdin: true, stdinOnce: true });
    const attach = async (stdin: boolean) =>
      runtime.attach(tokenOf(await client.runtime.attach({ containerId, stdin, stdout: true })))!.start();
    const [first, second] = [await attach(true), await attach(false)];
    first.stdin.end('hello');
    expect(await Promise.all([text(first.stdout), text(second.stdout)])).toEqual(['hello', 'hello']);
    expect(await first.exited).toMatchObject({ code: 0 });
    await exited(containerId);
    expect(log()).toEqual(['stdout P hello', '']);
  });

  it('of attach: one who does not read does not keep the container from ending, and knows that output was cut', async () => {
    const containerId = await running(['yes']);
    const session = runtime.attach(tokenOf(await client.runtime.attach({ containerId, stdout: true })))!.start();
    await once(session.stdout, 'readable');
    const failed = once(session.stdout, 'error');
    await client.runtime.stopContainer({ containerId, timeout: 0n });
    expect((await failed)[0]).toMatchObject({ code: 'ERR_STREAM_TIMEOUT' });
  });

  it('of port-forward reach a port of the host', async () => {
    await using echo = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const podSandboxId = await sandbox();
    const ticket = runtime.portForward(tokenOf(await client.runtime.portForward({ podSandboxId, port: [80] })))!;
    expect(ticket.request).toEqual({ podSandboxId, ports: [80] });
    const socket = await ticket.dial((echo.address() as AddressInfo).port);
    socket.end('ping');
    expect(await text(socket)).toBe('ping');
    await expect(ticket.dial(1)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('closing', () => {
  it('ends every container and every daemon, and empties the state directory', async () => {
    await running(['sh', '-c', 'trap "" TERM HUP; (setsid sleep 1000 &); sleep 1000']);
    await runtime.close();
    await runtime.close();
    expect(ours()).toEqual([]);
    expect(existsSync(join(directory, 'state/containers'))).toBe(false);
    await expect(sandbox()).rejects.toThrow('the runtime is shutting down');
  });
});
