import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StreamOptions } from '../../src/common/channels.ts';
import { exited } from '../../src/common/outcome.ts';
import { CriClient } from '../../src/cri/index.ts';
import { dialSpdy } from '../../src/httpstream/index.ts';
import { openStreamSet, type RemoteCommand, runRemoteCommand } from '../../src/remotecommand/index.ts';
import { HOST_IMAGE, type RunningRuntime, startRuntime } from '../../src/runtime/index.ts';

let directory: string;
let runtime: RunningRuntime;
let cri: CriClient;
let containerId: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'podwire-streams-'));
  runtime = await startRuntime({ stateDir: directory, streaming: { drainAfterExitMs: 300 } });
  cri = new CriClient(runtime.endpoints[0] ?? '');
  const sandboxConfig = { metadata: { name: 'p', namespace: 'default', uid: 'u', attempt: 0 } };
  const { podSandboxId } = await cri.runtime.runPodSandbox({ config: sandboxConfig });
  const config = { metadata: { name: 'c' }, image: { image: HOST_IMAGE }, command: ['sleep', '100000'] };
  ({ containerId } = await cri.runtime.createContainer({ podSandboxId, config, sandboxConfig }));
  await cri.runtime.startContainer({ containerId });
});

afterAll(async () => {
  await cri.close();
  await runtime.close();
  rmSync(directory, { recursive: true, force: true });
});

async function urlFor(cmd: readonly string[], streams: Partial<StreamOptions>): Promise<URL> {
  const { url } = await cri.runtime.exec({ containerId, cmd: [...cmd], stdout: true, ...streams });
  return new URL(url);
}

async function open(url: URL, streams: StreamOptions): Promise<RemoteCommand> {
  const socket = connect(Number(url.port), url.hostname);
  await once(socket, 'connect');
  const request = {
    path: url.pathname,
    headers: [['Host', url.host]] as [string, string][],
    protocols: ['v4.channel.k8s.io'],
  };
  const { session, protocol } = await dialSpdy(socket, request);
  return runRemoteCommand(await openStreamSet(session, protocol, streams));
}

async function outputOf(command: RemoteCommand): Promise<string> {
  let out = '';
  command.stdout?.on('data', (bytes: Buffer) => {
    out += bytes.toString();
  });
  command.stderr?.resume();
  expect(await command.completed).toEqual(exited(0));
  return out;
}

const stdoutOnly: StreamOptions = { stdin: false, stdout: true, stderr: false, tty: false };

describe('the runtime’s streaming server', () => {
  it('gotcha 73: takes a token once, and for its own kind alone', async () => {
    const url = await urlFor(['echo', 'once'], {});
    expect(await outputOf(await open(url, stdoutOnly))).toBe('once\n');
    await expect(open(url, stdoutOnly)).rejects.toMatchObject({ httpStatus: 404, body: '404 page not found\n' });
    const other = await urlFor(['true'], {});
    const asAttach = new URL(other.pathname.replace('/exec/', '/attach/'), other);
    await expect(open(asAttach, stdoutOnly)).rejects.toMatchObject({ httpStatus: 404 });
  });

  it('gotcha 76: types ^D when a terminal’s client ends its input, and loses no output', async () => {
    const streams = { stdin: true, stdout: true, stderr: false, tty: true };
    const command = await open(await urlFor(['cat'], streams), streams);
    command.stdin?.end('typed\n');
    expect(await outputOf(command)).toBe('typed\r\ntyped\r\n');
  });

  it('gotcha 77: is held by a background child that keeps the pipe no longer than its deadline', async () => {
    const command = await open(await urlFor(['sh', '-c', 'sleep 60 & echo hi'], {}), stdoutOnly);
    expect(await outputOf(command)).toBe('hi\n');
  });

  it('gives its commands real pipes: /dev/stderr can be opened', async () => {
    const streams = { ...stdoutOnly, stderr: true };
    const command = await open(
      await urlFor(['sh', '-c', 'echo x > /dev/stderr; cat /dev/stdin < /dev/null'], streams),
      streams,
    );
    let err = '';
    command.stderr?.on('data', (bytes: Buffer) => {
      err += bytes.toString();
    });
    command.stdout?.resume();
    expect(await command.completed).toEqual(exited(0));
    expect(err).toBe('x\n');
  });
});
