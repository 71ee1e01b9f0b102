import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exited } from '../../src/common/outcome.ts';
import { dialSpdy, openChannels } from '../../src/httpstream/index.ts';
import type { RunningKubelet } from '../../src/kubelet/index.ts';
import { openChannelForward, openPortForward } from '../../src/portforward/index.ts';
import {
  channelStreamSet,
  openStreamSet,
  type RemoteCommand,
  runRemoteCommand,
} from '../../src/remotecommand/index.ts';
import { HOST_IMAGE, type RunningRuntime, startRuntime } from '../../src/runtime/index.ts';
import { Loopback } from '../support/loopback.ts';
import { readAll } from '../support/read-all.ts';
import { readUntil } from '../support/read-until.ts';
import { startKubeletWithPod } from '../support/static-kubelet.ts';

let directory: string;
let runtime: RunningRuntime;
let kubelet: RunningKubelet;
const loopback = new Loopback();
const sessions: string[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'podwire-kubelet-streams-'));
  const container = { image: HOST_IMAGE, command: ['cat'], stdin: true };
  const containers = [
    { name: 'main', ...container },
    { name: 'shell', ...container, tty: true },
  ];
  const spec = { hostNetwork: true, terminationGracePeriodSeconds: 0, containers };
  runtime = await startRuntime({ stateDir: join(directory, 'runtime') });
  kubelet = await startKubeletWithPod(directory, runtime.endpoints[0] ?? '', {
    spec,
    onSession: ({ target, how }) => void sessions.push(`${target} ${how ?? 'begins'}`),
  });
});

afterAll(async () => {
  await loopback.close();
  await kubelet.close(0);
  await runtime.close();
  rmSync(directory, { recursive: true, force: true });
});

async function dial(): Promise<Socket> {
  const socket = connect(kubelet.port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

const headers: [string, string][] = [['Host', 'n1']];

describe('attach at the kubelet', () => {
  const streams = { stdin: true, stdout: true, stderr: true, tty: false };

  async function attach(path: string, kind: 'spdy' | 'websocket', options = streams): Promise<RemoteCommand> {
    if (kind === 'websocket') {
      const protocols = ['v5.channel.k8s.io'];
      return runRemoteCommand(
        channelStreamSet(await openChannels(await dial(), { path, host: 'n1', protocols }), options),
      );
    }
    const { session, protocol } = await dialSpdy(await dial(), { path, headers, protocols: ['v4.channel.k8s.io'] });
    return runRemoteCommand(await openStreamSet(session, protocol, options));
  }

  it.each(['spdy', 'websocket'] as const)('joins the container over %s', async (kind) => {
    const command = await attach('/attach/default/web-n1/main?input=1&output=1&error=1', kind);
    command.stderr?.resume();
    command.stdin?.write('hello');
    const [bytes] = (await once(command.stdout!, 'data')) as [Buffer];
    expect(bytes.toString()).toBe('hello');
    command.stdin?.end();
    expect(await command.completed).toEqual(exited(0));
  });

  it('has a terminal when the container’s spec says so, whatever the client asks', async () => {
    const tty = { stdin: true, stdout: true, stderr: false, tty: true };
    const command = await attach('/attach/default/web-n1/shell?input=1&output=1&error=1', 'websocket', tty);
    command.stdin?.write('typed\n');
    await readUntil(command.stdout!, 'typed\r\ntyped\r\n');
    command.stdin?.end();
    expect(await command.completed).toEqual(exited(0));
  });

  it.each([
    ['no stream asked for', '/attach/default/web-n1/main', 400, 'you must specify at least 1 of stdin, stdout, stderr'],
    ['an unknown pod', '/attach/default/nope/main?output=1', 404, 'pod does not exist'],
    [
      'an unknown container',
      '/attach/default/web-n1/nope?output=1',
      500,
      'container nope not found in pod web-n1_default',
    ],
  ])('refuses %s', async (_title, path, httpStatus, text) => {
    await expect(attach(path, 'spdy')).rejects.toMatchObject({ httpStatus, body: `${text}\n` });
  });
});

describe('port-forward at the kubelet', () => {
  it.each(['spdy', 'tunnel'] as const)('reaches the pod over %s', async (transport) => {
    const port = await loopback.listen(
      createServer({ allowHalfOpen: true }, (socket) => {
        void readAll(socket).then((bytes) => socket.end(`got ${bytes.toString()}`));
      }),
    );
    sessions.length = 0;
    const session = await openPortForward(await dial(), { transport, path: '/portForward/default/web-n1', host: 'n1' });
    const { data, failed } = await session.connect(port);
    data.end('it');
    expect((await readAll(data)).toString()).toBe('got it');
    expect(await failed).toBeUndefined();
    await session.close();
    await expect
      .poll(() => sessions)
      .toEqual(['default/web-n1 begins', expect.stringMatching(/^default\/web-n1 ended by/)]);
  });

  it('reaches the pod over the older WebSocket form', async () => {
    const port = await loopback.listen(createServer((socket) => void socket.pipe(socket)));
    const path = `/portForward/default/web-n1?port=${port}`;
    const session = await openChannelForward(await dial(), { path, host: 'n1', ports: [port] });
    const [one] = session.connections;
    one?.data.write('x');
    expect(((await once(one!.data, 'data')) as [Buffer])[0].toString()).toBe('x');
    await session.close();
  });

  it.each([
    ['without a port', '/portForward/default/web-n1', 400, 'query parameter "port" is required'],
    ['with port 0', '/portForward/default/web-n1?port=80,0', 400, 'port "0" is not a number from 1 to 65535'],
    ['to an unknown pod', '/portForward/default/nope?port=80', 404, 'pod does not exist'],
    ['to another incarnation', '/portForward/default/web-n1/some-uid?port=80', 404, 'pod not found'],
  ])('refuses the older form %s', async (_title, path, httpStatus, text) => {
    const ports = [80];
    await expect(openChannelForward(await dial(), { path, host: 'n1', ports })).rejects.toMatchObject({
      httpStatus,
      body: `${text}\n`,
    });
  });
});
