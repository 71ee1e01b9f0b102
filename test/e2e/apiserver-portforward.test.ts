import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createStreamingHandler } from '../../src/apiserver/index.ts';
import { type Listener, listen, refuseUpgrade } from '../../src/httpstream/index.ts';
import { WEBSOCKET_PASS_THROUGH_FEATURE } from '../../src/kubeapi/index.ts';
import { openChannelForward, openPortForward, parsePorts, servePortForward } from '../../src/portforward/index.ts';
import { dialLoopback, pod } from '../compliance/portforward-suite.ts';
import { ApiWorld, testTokens } from '../support/api-world.ts';
import { Loopback } from '../support/loopback.ts';
import { readAll } from '../support/read-all.ts';

let world: ApiWorld;
let kubelet: Listener;
let target: number;
const loopback = new Loopback();
/** What the kubelet was asked: method, path and the protocol to switch to. */
const asked: string[] = [];

beforeAll(async () => {
  kubelet = await listen({
    onRequest: (_request, response) => response.end(),
    onUpgrade: (request, socket, head) => {
      asked.push(`${request.method} ${request.url} ${request.headers.upgrade} ${request.headers.authorization ?? '-'}`);
      if (request.url?.includes('/gone') === true) {
        refuseUpgrade(socket, 404, 'pod does not exist');
        return;
      }
      const ports = parsePorts(new URL(request.url ?? '/', 'http://kubelet').searchParams.getAll('port'));
      void servePortForward({ request, socket, head }, { dial: dialLoopback, pod, ports });
    },
  });
  loopback.defer(() => kubelet.close(0));
  target = await loopback.listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      void readAll(socket).then((bytes) => socket.end(`got ${bytes.toString()}`));
    }),
  );
  world = await ApiWorld.start({
    kubeletPreferredAddressTypes: ['InternalIP'],
    onConnect: createStreamingHandler(({ host, port }, signal) => dialOnce(host, port, signal)),
  });
  for (const [name, declaredFeatures] of [
    ['old', []],
    ['new', [WEBSOCKET_PASS_THROUGH_FEATURE]],
    ['gone', []],
  ] as const) {
    const status = {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: kubelet.port } },
      declaredFeatures,
    };
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: `node-${name}` }, status };
    const spec = { nodeName: `node-${name}`, containers: [{ name: 'main', image: 'x' }] };
    const one = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
    for (const [path, body] of [
      ['/api/v1/nodes', node],
      ['/api/v1/namespaces/default/pods', one],
    ] as const) {
      expect((await world.call(path, { method: 'POST', body })).status).toBe(201);
    }
  }
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await loopback.close();
});

async function dialOnce(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host, port, signal });
  await once(socket, 'connect');
  return socket.on('error', () => {});
}

const host = 'apiserver';
const headers: [string, string][] = [['Authorization', `Bearer ${testTokens.admin}`]];
const pathOf = (name: string): string => `/api/v1/namespaces/default/pods/${name}/portforward`;

describe('port-forward at the apiserver', () => {
  it.each([
    ['tunnel', 'old', 'POST /portForward/default/old SPDY/3.1 -'],
    ['tunnel', 'new', 'GET /portForward/default/new websocket -'],
    ['spdy', 'old', 'POST /portForward/default/old SPDY/3.1 -'],
    ['spdy', 'new', 'POST /portForward/default/new SPDY/3.1 -'],
  ] as const)('by %s to a node of the %s kind asks the kubelet %j', async (transport, name, wanted) => {
    asked.length = 0;
    const session = await openPortForward(await world.connect(), { transport, path: pathOf(name), host, headers });
    const { data, failed } = await session.connect(target);
    data.end('it');
    expect((await readAll(data)).toString()).toBe('got it');
    expect(await failed).toBeUndefined();
    await session.close();
    expect(await session.closed).toEqual({ kind: 'clean', by: 'local' });
    expect(asked).toEqual([wanted]);
  });

  it('by the older form names the ports to the kubelet', async () => {
    asked.length = 0;
    const port = await loopback.listen(createServer((socket) => void socket.end('hello')));
    const path = `${pathOf('old')}?ports=${port}&ports=1`;
    const session = await openChannelForward(await world.connect(), { path, host, headers, ports: [port, 1] });
    const [one, other] = session.connections;
    expect((await readAll(one!.data)).toString()).toBe('hello');
    expect(await other!.failed).toMatchObject({ message: expect.stringContaining('ECONNREFUSED') });
    expect(asked).toEqual([`GET /portForward/default/old?port=${port}%2C1 websocket -`]);
  });

  it.each(['tunnel', 'spdy'] as const)('gotcha 86: passes the kubelet’s refusal on over %s', async (transport) => {
    const options = { transport, path: pathOf('gone'), host, headers };
    await expect(openPortForward(await world.connect(), options)).rejects.toMatchObject({
      httpStatus: 404,
      body: 'pod does not exist\n',
    });
  });

  it('refuses a port that is none before it asks the kubelet', async () => {
    asked.length = 0;
    const options = { path: `${pathOf('old')}?ports=0`, host, headers, ports: [0] };
    await expect(openChannelForward(await world.connect(), options)).rejects.toMatchObject({ httpStatus: 400 });
    expect(asked).toEqual([]);
  });
});
