import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deferred } from '../../src/common/deferred.ts';
import { ExecPathError } from '../../src/common/errors.ts';
import { exited } from '../../src/common/outcome.ts';
import { CriClient, serveCri } from '../../src/cri/index.ts';
import { dialSpdy, openChannels, requestUpgrade } from '../../src/httpstream/index.ts';
import type { Pod } from '../../src/kubeapi/index.ts';
import { type RunningKubelet, startKubelet } from '../../src/kubelet/index.ts';
import { channelStreamSet, openStreamSet, runRemoteCommand } from '../../src/remotecommand/index.ts';
import { HOST_IMAGE, type RunningRuntime, startRuntime } from '../../src/runtime/index.ts';
import { freePort } from '../support/free-port.ts';
import { processTable } from '../support/process-table.ts';
import { manifestsOf, startStaticKubelet } from '../support/static-kubelet.ts';

let directory: string;
let runtime: RunningRuntime;
let kubelet: RunningKubelet;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'podwire-kubelet-'));
  mkdirSync(manifestsOf(directory));
  writeManifest('web', { containers: [{ name: 'main' }, { name: 'side' }] });
  runtime = await startRuntime({ stateDir: join(directory, 'runtime') });
  kubelet = await start(runtime.endpoints[0] ?? '');
  await untilPod('web-n1', (pod) => pod.status?.phase === 'Running');
});

afterAll(async () => {
  await kubelet.close();
  await runtime.close();
  rmSync(directory, { recursive: true, force: true });
});

function writeManifest(name: string, spec: object): void {
  const containers = (spec as { containers: { name: string }[] }).containers.map((container) => ({
    image: HOST_IMAGE,
    command: ['sleep', '100000'],
    ...container,
  }));
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { terminationGracePeriodSeconds: 0, ...spec, containers },
  };
  writeFileSync(join(manifestsOf(directory), `${name}.yaml`), JSON.stringify(pod));
}

/** A kubelet that knows the users `admin` and `guest` by a header; guests may do nothing. */
function start(endpoint: string, syncPeriodMs = 100): Promise<RunningKubelet> {
  return startStaticKubelet(directory, endpoint, {
    syncPeriodMs,
    authenticate: async ({ headers }) => {
      if (headers['x-user'] === undefined) throw new ExecPathError('ERR_UNAUTHORIZED', 'Unauthorized');
      return { name: String(headers['x-user']), groups: [] };
    },
    authorize: async ({ name }) => name === 'admin',
  });
}

async function ask(
  path: string,
  init: { method?: string; user?: string } = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const answer = await fetch(kubelet.url + path, {
    method: init.method ?? 'GET',
    headers: { 'X-User': init.user ?? 'admin' },
  });
  return { status: answer.status, text: (await answer.text()).trimEnd(), headers: answer.headers };
}

async function podsOf(path = '/pods'): Promise<Pod[]> {
  return (JSON.parse((await ask(path)).text) as { items: Pod[] }).items;
}

/** Asks until the kubelet shows the pod so, at most 20 s. */
async function untilPod(name: string, holds: (pod: Pod) => boolean): Promise<Pod> {
  for (const deadline = Date.now() + 20_000; ; ) {
    const pod = (await podsOf()).find(({ metadata }) => metadata.name === name);
    if (pod !== undefined && holds(pod)) return pod;
    if (Date.now() > deadline) throw new Error(`pod ${name} never came so far: ${JSON.stringify(pod?.status)}`);
    await delay(50);
  }
}

function dial(port = kubelet.port): Promise<ReturnType<typeof connect>> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** The HTTP answer to an upgrade, as its status and text. */
async function refusal(
  path: string,
  headers: Record<string, string> = { 'X-User': 'admin' },
): Promise<[number, string]> {
  try {
    const lines = Object.entries({ Host: 'n1', ...headers });
    await dialSpdy(await dial(), { path, headers: lines, protocols: ['v4.channel.k8s.io'] });
    throw new Error('the upgrade was accepted');
  } catch (thrown) {
    if (!(thrown instanceof Error && 'httpStatus' in thrown && 'body' in thrown)) throw thrown;
    return [Number(thrown.httpStatus), String(thrown.body).trimEnd()];
  }
}

async function run(
  path: string,
  argv: readonly string[],
  kind: 'spdy' | 'websocket',
  port = kubelet.port,
): Promise<{ out: string; outcome: unknown }> {
  const query = new URLSearchParams([...argv.map((word) => ['command', word]), ['output', '1']] as [string, string][]);
  const streams = { stdin: false, stdout: true, stderr: false, tty: false };
  const target = { path: `${path}?${query.toString()}`, headers: [['X-User', 'admin']] as [string, string][] };
  const socket = await dial(port);
  const command =
    kind === 'spdy'
      ? await dialSpdy(socket, {
          ...target,
          headers: [['Host', 'n1'], ...target.headers],
          protocols: ['v4.channel.k8s.io'],
        }).then(async ({ session, protocol }) => runRemoteCommand(await openStreamSet(session, protocol, streams)))
      : runRemoteCommand(
          channelStreamSet(
            await openChannels(socket, { ...target, host: 'n1', protocols: ['v5.channel.k8s.io'] }),
            streams,
          ),
        );
  let out = '';
  command.stdout?.on('data', (bytes: Buffer) => {
    out += bytes.toString();
  });
  return { outcome: await command.completed, out };
}

describe('the kubelet answers as upstream does', () => {
  it.each([
    ['/healthz', 200, 'ok'],
    ['/nope', 404, '404 page not found'],
    ['/exec/default/web-n1/main?output=1', 500, 'Upgrade request required'],
  ])('GET %s: %i %s', async (path, status, text) => {
    expect(await ask(path)).toMatchObject({ status, text });
  });

  it('says Unauthorized and Forbidden with upstream’s words', async () => {
    expect(await refusal('/exec/default/web-n1/main?output=1', {})).toEqual([401, 'Unauthorized']);
    const text = 'Forbidden (user=guest, verb=create, resource=nodes, subresource(s)=[proxy])';
    expect(await refusal('/exec/default/web-n1/main?output=1', { 'X-User': 'guest' })).toEqual([403, text]);
    expect(await ask('/pods', { user: 'guest' })).toMatchObject({
      status: 403,
      text: 'Forbidden (user=guest, verb=get, resource=nodes, subresource(s)=[pods proxy])',
    });
  });

  it('refuses pages of browsers: they come through an apiserver, which knows whom to allow', async () => {
    const [status, text] = await refusal('/exec/default/web-n1/main?output=1', {
      'X-User': 'admin',
      Origin: 'https://evil.example',
    });
    expect([status, text]).toEqual([403, expect.stringContaining('"https://evil.example" may not open sessions here')]);
  });

  it('names the methods that a path takes', async () => {
    const answer = await ask('/pods', { method: 'POST' });
    expect(answer).toMatchObject({ status: 405, text: 'Method Not Allowed' });
    expect(answer.headers.get('allow')).toBe('GET');
  });

  it.each([
    [
      'gotcha 72: no stream asked for',
      '/exec/default/web-n1/main?command=x',
      400,
      'you must specify at least 1 of stdin, stdout, stderr',
    ],
    [
      'gotcha 69: input=true is false',
      '/exec/default/web-n1/main?command=x&input=true',
      400,
      'you must specify at least 1 of stdin, stdout, stderr',
    ],
    ['an unknown pod', '/exec/default/nope/main?command=x&output=1', 404, 'pod does not exist'],
    ['another incarnation', '/exec/default/web-n1/some-uid/main?command=x&output=1', 404, 'pod does not exist'],
    ['an unknown container', '/exec/default/web-n1/nope?command=x&output=1', 500, 'container not found ("nope")'],
  ])('%s', async (_title, path, status, text) => {
    expect(await refusal(path)).toEqual([status, text]);
  });

  it('gotcha 6: refuses an upgrade with a chunked body', async () => {
    const path = '/exec/default/web-n1/main?command=x&output=1';
    const headers = Object.entries({
      Host: 'n1',
      'X-User': 'admin',
      Connection: 'Upgrade',
      Upgrade: 'SPDY/3.1',
      'Transfer-Encoding': 'chunked',
    });
    await expect(requestUpgrade(await dial(), { method: 'POST', path, headers })).rejects.toMatchObject({
      httpStatus: 400,
      message: expect.stringContaining('an upgrade request must not have a chunked body'),
    });
  });
});

describe('a static pod', () => {
  it('has the node’s name behind its own and runs', async () => {
    const pod = await untilPod('web-n1', ({ status }) => status?.phase === 'Running');
    expect(pod.status?.containerStatuses?.map(({ name, ready }) => [name, ready])).toEqual([
      ['main', true],
      ['side', true],
    ]);
    expect((await podsOf('/runningpods/')).map(({ metadata }) => metadata.name)).toContain('web-n1');
  });

  it.each(['spdy', 'websocket'] as const)('is exec’d into over %s, with and without its uid', async (kind) => {
    const { uid } = (await untilPod('web-n1', () => true)).metadata;
    expect(await run('/exec/default/web-n1/main', ['echo', 'hi'], kind)).toEqual({ out: 'hi\n', outcome: exited(0) });
    expect(await run(`/exec/default/web-n1/${uid}/side`, ['sh', '-c', 'exit 7'], kind)).toEqual({
      out: '',
      outcome: exited(7),
    });
  });

  it('gotcha 70: gets argv as it is', async () => {
    const argv = [
      'printf',
      '%s|',
      'a b',
      '&',
      '+',
      '%20',
      'ü€',
      '',
      '"\'',
      '$HOME',
      ...Array.from({ length: 500 }, (_, n) => String(n)),
    ];
    const { out } = await run('/exec/default/web-n1/main', argv, 'spdy');
    expect(out).toBe(
      argv
        .slice(2)
        .map((word) => `${word}|`)
        .join(''),
    );
  });

  it('runs commands by /run', async () => {
    expect(await ask('/run/default/web-n1/main?cmd=echo%20hello', { method: 'POST' })).toMatchObject({
      status: 200,
      text: 'hello',
    });
    expect(await ask('/run/default/web-n1/main?cmd=false', { method: 'POST' })).toMatchObject({ status: 500 });
    expect(await ask('/run/default/nope/main?cmd=true', { method: 'POST' })).toMatchObject({
      status: 404,
      text: 'pod does not exist',
    });
  });

  it('ends a command of /run whose client leaves', async () => {
    const running = (): boolean => processTable().some(({ command }) => command === 'sleep 43219');
    const target = { port: kubelet.port, method: 'POST', headers: { 'X-User': 'admin' } };
    const request = httpRequest({ ...target, path: '/run/default/web-n1/main?cmd=sleep%2043219' }).on(
      'error',
      () => {},
    );
    request.end();
    await expect.poll(running, { timeout: 10_000 }).toBe(true);
    request.destroy();
    await expect.poll(running, { timeout: 10_000 }).toBe(false);
  });

  it('is replaced when its manifest changes, and gone with it', async () => {
    writeManifest('short', { containers: [{ name: 'one' }] });
    const first = await untilPod('short-n1', ({ status }) => status?.phase === 'Running');
    writeManifest('short', { containers: [{ name: 'two' }] });
    const second = await untilPod(
      'short-n1',
      ({ spec, status }) => spec.containers[0]?.name === 'two' && status?.phase === 'Running',
    );
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    rmSync(join(directory, 'manifests', 'short.yaml'));
    await expect
      .poll(() => podsOf().then((list) => list.map(({ metadata }) => metadata.name)), { timeout: 20_000 })
      .not.toContain('short-n1');
  });

  it('starts again what ended, and says how it stands', async () => {
    writeManifest('crash', { containers: [{ name: 'main', command: ['false'] }] });
    const pod = await untilPod(
      'crash-n1',
      ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff',
    );
    expect(pod.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 1 } },
    });
    expect(pod.status?.phase).toBe('Running');
    rmSync(join(directory, 'manifests', 'crash.yaml'));
  });

  it('ends as Succeeded or Failed when it is not to run again', async () => {
    writeManifest('done', { restartPolicy: 'Never', containers: [{ name: 'main', command: ['true'] }] });
    writeManifest('bad', { restartPolicy: 'Never', containers: [{ name: 'main', command: ['sh', '-c', 'exit 3'] }] });
    await untilPod('done-n1', ({ status }) => status?.phase === 'Succeeded');
    const bad = await untilPod('bad-n1', ({ status }) => status?.phase === 'Failed');
    expect(bad.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 3, reason: 'Error' });
    rmSync(join(directory, 'manifests', 'done.yaml'));
    rmSync(join(directory, 'manifests', 'bad.yaml'));
  });
});

/** Runs the pod `other/NAME` with the container `main` past the kubelet. @returns the id of its sandbox */
async function runStranger(cri: CriClient, name: string): Promise<string> {
  const sandbox = { metadata: { name, namespace: 'other', uid: '', attempt: 0 }, labels: { app: 'x' } };
  const { podSandboxId } = await cri.runtime.runPodSandbox({ config: sandbox });
  const config = { metadata: { name: 'main' }, image: { image: HOST_IMAGE }, command: ['sleep', '100000'] };
  const { containerId } = await cri.runtime.createContainer({ podSandboxId, config, sandboxConfig: sandbox });
  await cri.runtime.startContainer({ containerId });
  return podSandboxId;
}

describe('a pod that somebody else runs', () => {
  it('is adopted: listed, exec’d into, never stopped', async () => {
    await using cri = new CriClient(runtime.endpoints[0] ?? '');
    const podSandboxId = await runStranger(cri, 'stranger');
    const pod = await untilPod('stranger', ({ status }) => status?.phase === 'Running');
    expect(pod.metadata).toMatchObject({
      namespace: 'other',
      labels: { app: 'x' },
      annotations: { 'kubernetes.io/config.source': 'runtime' },
    });
    expect(pod.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(await run('/exec/other/stranger/main', ['echo', 'adopted'], 'spdy')).toEqual({
      out: 'adopted\n',
      outcome: exited(0),
    });
    await cri.runtime.removePodSandbox({ podSandboxId });
  });

  it.each(['spdy', 'websocket'] as const)(
    'is exec’d into where it is now, not where it was seen, over %s',
    async (kind) => {
      await using cri = new CriClient(runtime.endpoints[0] ?? '');
      // Looks once, and then only when it has to.
      const seldom = await start(runtime.endpoints[0] ?? '', 3_600_000);
      const say = (): Promise<unknown> => run('/exec/other/moving/main', ['echo', 'here'], kind, seldom.port);
      for (const _attempt of ['first', 'second', 'third']) {
        const podSandboxId = await runStranger(cri, 'moving');
        expect(await say()).toEqual({ out: 'here\n', outcome: exited(0) });
        await cri.runtime.removePodSandbox({ podSandboxId });
      }
      await expect(say()).rejects.toThrow('pod does not exist');
      await seldom.close();
    },
  );
});

describe('when the runtime’s streaming server misbehaves', () => {
  /** A kubelet whose runtime hands out the URL of a server that answers every upgrade with `answer`. */
  async function refusedBy(answer: string): Promise<[number, string]> {
    const streaming = createServer().on('upgrade', (_request: IncomingMessage, socket) => void socket.end(answer));
    await new Promise<void>((resolve) => streaming.listen(0, '127.0.0.1', resolve));
    const { port } = streaming.address() as AddressInfo;
    const socketPath = join(directory, 'odd.sock');
    const handlers = {
      ...runtime.runtime.handlers.runtime,
      exec: async () => ({ url: `127.0.0.1:${port}/exec/token` }),
    };
    const cri = await serveCri({ runtime: handlers }, { socketPath });
    const odd = await start(`unix://${socketPath}`);
    const before = kubelet;
    kubelet = odd;
    try {
      return await refusal('/exec/default/web-n1/main?command=x&output=1');
    } finally {
      kubelet = before;
      await odd.close();
      await cri.close();
      streaming.close();
    }
  }

  it.each([
    ['200', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['302', 'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n'],
  ])('gotcha 65, 74: %s to an upgrade becomes 500 and is never followed', async (code, answer) => {
    expect(await refusedBy(answer)).toEqual([500, `invalid upgrade response: status code ${code}`]);
  });

  it('gotcha 66: a refusal is passed on with its body', async () => {
    const answer =
      'HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 19\r\n\r\n404 page not found\n';
    expect(await refusedBy(answer)).toEqual([404, '404 page not found']);
  });
});

describe('a kubelet that starts or stops badly', () => {
  it('leaves nothing listening when its health port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const port = await freePort();
    const options = {
      containerRuntimeEndpoint: runtime.endpoints[0] ?? '',
      rootDir: join(directory, 'kubelet'),
      nodeName: 'n2',
      healthzPort: (taken.address() as AddressInfo).port,
      version: '0',
      authenticate: async () => ({ name: 'admin', groups: [] }),
      authorize: async () => true,
    };
    await expect(startKubelet({ ...options, port })).rejects.toMatchObject({ code: 'ERR_LISTEN' });
    const next = createServer().listen(port, '127.0.0.1');
    await once(next, 'listening');
    next.close();
    taken.close();
  });

  it('stops although its runtime answers nothing', async () => {
    const socketPath = join(directory, 'mute.sock');
    const asked = deferred<void>();
    const never = (): Promise<never> => {
      asked.resolve();
      return new Promise(() => {});
    };
    const handlers = { ...runtime.runtime.handlers.runtime, listPodSandbox: never, listContainers: never };
    const cri = await serveCri({ runtime: handlers }, { socketPath });
    const mute = await start(`unix://${socketPath}`);
    await asked.promise;
    const before = performance.now();
    await mute.close(0);
    expect(performance.now() - before).toBeLessThan(20_000);
    await cri.close();
  });
});
