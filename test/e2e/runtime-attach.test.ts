import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StreamOptions } from '../../src/common/channels.ts';
import { deferred } from '../../src/common/deferred.ts';
import { exited } from '../../src/common/outcome.ts';
import { CriClient } from '../../src/cri/index.ts';
import { dialSpdy, openChannels } from '../../src/httpstream/index.ts';
import {
  channelStreamSet,
  openStreamSet,
  type RemoteCommand,
  runRemoteCommand,
} from '../../src/remotecommand/index.ts';
import { HOST_IMAGE, type RunningRuntime, startRuntime } from '../../src/runtime/index.ts';

let directory: string;
let runtime: RunningRuntime;
let cri: CriClient;
let podSandboxId: string;
let containers = 0;

const sandboxConfig = { metadata: { name: 'p', namespace: 'default', uid: 'u', attempt: 0 } };

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'podwire-attach-'));
  runtime = await startRuntime({ stateDir: directory });
  cri = new CriClient(runtime.endpoints[0] ?? '');
  ({ podSandboxId } = await cri.runtime.runPodSandbox({ config: sandboxConfig }));
});

afterAll(async () => {
  await cri.close();
  await runtime.close();
  rmSync(directory, { recursive: true, force: true });
});

interface ContainerAsk {
  readonly stdin?: boolean;
  readonly stdinOnce?: boolean;
  readonly tty?: boolean;
}

async function runContainer(command: readonly string[], ask: ContainerAsk = {}): Promise<string> {
  containers += 1;
  const metadata = { name: `c${containers}` };
  const config = { metadata, image: { image: HOST_IMAGE }, command: [...command], ...ask };
  const { containerId } = await cri.runtime.createContainer({ podSandboxId, config, sandboxConfig });
  await cri.runtime.startContainer({ containerId });
  return containerId;
}

const all: StreamOptions = { stdin: true, stdout: true, stderr: true, tty: false };
const output: StreamOptions = { ...all, stdin: false };
const terminal: StreamOptions = { stdin: true, stdout: true, stderr: false, tty: true };

type Transport = 'spdy' | 'v5.channel.k8s.io' | 'v4.channel.k8s.io';

async function attach(
  containerId: string,
  streams: StreamOptions,
  transport: Transport = 'spdy',
): Promise<RemoteCommand> {
  const url = new URL((await cri.runtime.attach({ containerId, ...streams })).url);
  const socket = connect(Number(url.port), url.hostname);
  await once(socket, 'connect');
  const path = url.pathname;
  if (transport === 'spdy') {
    const headers: [string, string][] = [['Host', url.host]];
    const { session, protocol } = await dialSpdy(socket, { path, headers, protocols: ['v4.channel.k8s.io'] });
    return runRemoteCommand(await openStreamSet(session, protocol, streams));
  }
  const session = await openChannels(socket, { path, host: url.host, protocols: [transport] });
  return runRemoteCommand(channelStreamSet(session, streams));
}

/** Collects a stream; `has` waits for a text in it. */
class Heard {
  text = '';
  readonly #waiting = new Set<() => void>();

  constructor(stream: RemoteCommand['stdout']) {
    stream?.on('data', (bytes: Buffer) => {
      this.text += bytes.toString();
      for (const look of this.#waiting) look();
    });
  }

  async has(wanted: string): Promise<void> {
    const { promise, resolve } = deferred<void>();
    const look = (): void => {
      if (this.text.includes(wanted)) resolve();
    };
    this.#waiting.add(look);
    look();
    await promise;
    this.#waiting.delete(look);
  }
}

async function stop(containerId: string): Promise<void> {
  await cri.runtime.stopContainer({ containerId, timeout: 0n });
}

describe.each<Transport>(['spdy', 'v5.channel.k8s.io', 'v4.channel.k8s.io'])('attach over %s', (transport) => {
  it('joins the streams of a running container and ends with Success when it ends', async () => {
    const containerId = await runContainer(
      ['sh', '-c', 'while read l; do echo "<$l>"; echo "err $l" >&2; [ "$l" = end ] && exit 3; done'],
      {
        stdin: true,
      },
    );
    const session = await attach(containerId, all, transport);
    const [out, err] = [new Heard(session.stdout), new Heard(session.stderr)];
    session.stdin?.write('one\n');
    await Promise.all([out.has('<one>'), err.has('err one')]);
    session.stdin?.write('end\n');
    expect(await session.completed).toEqual(exited(0));
    expect([out.text, err.text]).toEqual(['<one>\n<end>\n', 'err one\nerr end\n']);
    const { status } = await cri.runtime.containerStatus({ containerId });
    expect(status?.exitCode).toBe(3);
  });

  it('resizes the terminal of a container that has one', async () => {
    const containerId = await runContainer(
      ['sh', '-c', 'trap "stty size" WINCH; while :; do read l && echo "got $l"; done'],
      {
        stdin: true,
        tty: true,
      },
    );
    const session = await attach(containerId, terminal, transport);
    const out = new Heard(session.stdout);
    session.stdin?.write('trapped\n');
    await out.has('got trapped');
    session.resize({ width: 132, height: 43 });
    await out.has('43 132');
    await stop(containerId);
    expect(await session.completed).toEqual(exited(0));
  });
});

describe('attach', () => {
  it('shows output to all who are attached, from then on', async () => {
    const containerId = await runContainer(['cat'], { stdin: true });
    const first = await attach(containerId, all);
    const firstOut = new Heard(first.stdout);
    first.stdin?.write('before ');
    await firstOut.has('before ');
    const second = await attach(containerId, output);
    const secondOut = new Heard(second.stdout);
    first.stderr?.resume();
    second.stderr?.resume();
    first.stdin?.write('after');
    await Promise.all([firstOut.has('after'), secondOut.has('after')]);
    expect([firstOut.text, secondOut.text]).toEqual(['before after', 'after']);
    await stop(containerId);
    expect([await first.completed, await second.completed]).toEqual([exited(0), exited(0)]);
  });

  it('ends the container’s input after the first who brought some, when it says stdinOnce', async () => {
    const containerId = await runContainer(['sh', '-c', 'wc -c; echo done'], { stdin: true, stdinOnce: true });
    const watcher = await attach(containerId, output);
    watcher.abort();
    await watcher.closed;
    const session = await attach(containerId, all);
    const out = new Heard(session.stdout);
    session.stderr?.resume();
    session.stdin?.end('12345');
    expect(await session.completed).toEqual(exited(0));
    expect(out.text.trim()).toBe('5\ndone');
  });

  it('detaches at the end of input from a container that goes on reading', async () => {
    const containerId = await runContainer(['cat'], { stdin: true });
    const first = await attach(containerId, all);
    first.stdout?.resume();
    first.stderr?.resume();
    first.stdin?.end();
    expect(await first.completed).toEqual(exited(0));
    const second = await attach(containerId, all);
    const out = new Heard(second.stdout);
    second.stderr?.resume();
    second.stdin?.write('still here');
    await out.has('still here');
    second.abort();
    await stop(containerId);
  });

  it('leaves a terminal open for the next, also with stdinOnce', async () => {
    const containerId = await runContainer(['cat'], { stdin: true, stdinOnce: true, tty: true });
    const first = await attach(containerId, terminal);
    first.stdout?.resume();
    first.stdin?.end();
    expect(await first.completed).toEqual(exited(0));
    const second = await attach(containerId, terminal);
    const out = new Heard(second.stdout);
    second.stdin?.write('back\n');
    await out.has('back\r\nback');
    await stop(containerId);
    expect(await second.completed).toEqual(exited(0));
  });

  it('lets the container go on when its client is lost', async () => {
    const containerId = await runContainer(['cat'], { stdin: true });
    const first = await attach(containerId, all);
    first.abort();
    await first.closed;
    const second = await attach(containerId, all);
    const out = new Heard(second.stdout);
    second.stderr?.resume();
    second.stdin?.write('lives');
    await out.has('lives');
    await stop(containerId);
    expect(await second.completed).toEqual(exited(0));
  });

  it('does not let one who never reads keep the container from being stopped', async () => {
    const containerId = await runContainer(['sh', '-c', 'read go; exec yes'], { stdin: true });
    const stalled = await attach(containerId, all);
    stalled.stdin?.write('go\n');
    if (stalled.stdout !== undefined) await once(stalled.stdout, 'readable');
    await stop(containerId);
    const { status } = await cri.runtime.containerStatus({ containerId });
    expect(status?.exitCode).toBe(137);
    stalled.abort();
    await stalled.completed;
  });

  it('tells that a container which has ended cannot be attached to', async () => {
    const containerId = await runContainer(['cat'], { stdin: true });
    const url = new URL((await cri.runtime.attach({ containerId, ...all })).url);
    await stop(containerId);
    const socket = connect(Number(url.port), url.hostname);
    await once(socket, 'connect');
    const request = {
      path: url.pathname,
      headers: [['Host', url.host]] as [string, string][],
      protocols: ['v4.channel.k8s.io'],
    };
    const { session, protocol } = await dialSpdy(socket, request);
    const command = runRemoteCommand(await openStreamSet(session, protocol, all));
    command.stdout?.resume();
    command.stderr?.resume();
    expect(await command.completed).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('error attaching to container: '),
    });
  });
});
