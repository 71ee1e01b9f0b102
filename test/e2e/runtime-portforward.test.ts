import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CriClient } from '../../src/cri/index.ts';
import { openChannelForward, openPortForward } from '../../src/portforward/index.ts';
import { type RunningRuntime, startRuntime } from '../../src/runtime/index.ts';
import { Loopback } from '../support/loopback.ts';
import { readAll } from '../support/read-all.ts';

let directory: string;
let runtime: RunningRuntime;
let cri: CriClient;
let podSandboxId: string;
const loopback = new Loopback();
let port: number;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'podwire-forward-'));
  runtime = await startRuntime({ stateDir: directory });
  cri = new CriClient(runtime.endpoints[0] ?? '');
  const config = { metadata: { name: 'p', namespace: 'default', uid: 'u', attempt: 0 } };
  ({ podSandboxId } = await cri.runtime.runPodSandbox({ config }));
  port = await loopback.listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      void readAll(socket).then((bytes) => socket.end(`got ${bytes.toString()}`));
    }),
  );
});

afterAll(async () => {
  await loopback.close();
  await cri.close();
  await runtime.close();
  rmSync(directory, { recursive: true, force: true });
});

async function dial(ports: readonly number[] = []): Promise<{ socket: Socket; path: string; host: string }> {
  const url = new URL((await cri.runtime.portForward({ podSandboxId, port: [...ports] })).url);
  const socket = connect(Number(url.port), url.hostname);
  await once(socket, 'connect');
  return { socket, path: url.pathname, host: url.host };
}

describe('port-forward of the runtime', () => {
  it.each(['spdy', 'tunnel'] as const)('reaches ports of the pod over %s', async (transport) => {
    const { socket, path, host } = await dial();
    await using session = await openPortForward(socket, { transport, path, host });
    const { data, failed } = await session.connect(port);
    data.end('a question');
    expect((await readAll(data)).toString()).toBe('got a question');
    expect(await failed).toBeUndefined();
    const refused = await session.connect(1);
    refused.data.resume();
    expect(await refused.failed).toMatchObject({
      message: `error forwarding port 1 to pod ${podSandboxId}, uid : connect ECONNREFUSED 127.0.0.1:1`,
    });
  });

  it('reaches the ports of the request over the older WebSocket form', async () => {
    const echoing = await loopback.listen(createServer((socket) => void socket.pipe(socket)));
    const { socket, path, host } = await dial([echoing, 1]);
    const session = await openChannelForward(socket, { path, host, ports: [echoing, 1] });
    const [good, bad] = session.connections;
    good?.data.write('x');
    const [bytes] = (await once(good!.data, 'data')) as [Buffer];
    expect(bytes.toString()).toBe('x');
    await session.close();
    expect(await bad?.failed).toMatchObject({ message: expect.stringContaining('ECONNREFUSED') });
  });

  it('gotcha 73: takes a token once', async () => {
    const { socket, path, host } = await dial();
    const session = await openPortForward(socket, { transport: 'spdy', path, host });
    await session.close();
    const again = connect(Number(new URL(`http://${host}`).port), '127.0.0.1');
    await once(again, 'connect');
    await expect(openPortForward(again, { transport: 'spdy', path, host })).rejects.toMatchObject({
      httpStatus: 404,
      body: '404 page not found\n',
    });
  });
});
