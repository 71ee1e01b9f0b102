import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiWorld, testTokens } from '../../test/support/api-world.ts';
import { deferred } from '../common/deferred.ts';
import { ExecPathError } from '../common/errors.ts';
import { answerUpgrade } from '../httpstream/index.ts';
import { nodes, pods } from '../kubeapi/index.ts';
import type { ConnectRequest } from './connect-request.ts';

let world: ApiWorld;
let handler: (connect: ConnectRequest) => Promise<void>;
const sockets: TLSSocket[] = [];

const execPath = '/api/v1/namespaces/default/pods/web/exec';

beforeEach(async () => {
  handler = async () => {
    throw new Error('no session was expected');
  };
  world = await ApiWorld.start({
    onConnect: (connect) => handler(connect),
    corsAllowedOrigins: ['https://console\\.example\\.com(:\\d+)?'],
    shutdownGraceMs: 200,
  });
  const { registry } = world.server;
  await registry.create(nodes, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1' },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
  });
  for (const [name, nodeName] of [
    ['web', 'n1'],
    ['nowhere', ''],
  ]) {
    await registry.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: name ?? '', namespace: 'default' },
      spec: { nodeName, containers: [{ name: 'main', image: 'i' }] },
    });
  }
  return () => world[Symbol.asyncDispose]();
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

interface Asked {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: readonly string[];
  /** Sent with the request: the first bytes of the new protocol. */
  readonly rest?: string;
}

/** Asks for an upgrade. @returns the socket, not yet read from */
async function ask(
  path: string,
  { method = 'GET', token = testTokens.admin, headers = [], rest = '' }: Asked = {},
): Promise<TLSSocket> {
  const socket = await world.connect();
  sockets.push(socket);
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${world.port}`,
    ...(token === '' ? [] : [`Authorization: Bearer ${token}`]),
    'Connection: Upgrade',
    'Upgrade: SPDY/3.1',
    ...headers,
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n${rest}`);
  return socket;
}

/** Everything until the server closes. */
async function answerOf(socket: TLSSocket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(socket, 'end');
  return text;
}

function statusIn(answer: string): { readonly line: string; readonly head: string; readonly body: unknown } {
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  return { line: head.split('\r\n', 1)[0] ?? '', head, body: JSON.parse(body) };
}

describe('an upgrade of a streaming subresource', () => {
  it('is handed over with user, pod, query, audit id, the first bytes and the way to the kubelet', async () => {
    const given = deferred<ConnectRequest>();
    handler = async (connect) => {
      given.resolve(connect);
      answerUpgrade(connect.socket, [
        ['Connection', 'Upgrade'],
        ['Upgrade', 'SPDY/3.1'],
      ]);
      connect.socket.write('hello');
    };
    const socket = await ask(`${execPath}?command=ls&command=-l&stdout=true`, {
      method: 'POST',
      headers: ['Audit-ID: one-session', 'X-Stream-Protocol-Version: v4.channel.k8s.io'],
      rest: 'early',
    });
    const connect = await given.promise;
    expect(connect).toMatchObject({ namespace: 'default', pod: 'web', subresource: 'exec', auditId: 'one-session' });
    expect(connect.user).toMatchObject({ name: 'admin', groups: ['system:masters', 'system:authenticated'] });
    expect(connect.query.getAll('command')).toEqual(['ls', '-l']);
    expect(connect.head.toString()).toBe('early');
    expect(connect.signal.aborted).toBe(false);
    expect(await connect.findLocation()).toMatchObject({ host: '10.0.0.1', port: 10_250, container: 'main' });
    await expect(connect.findLocation('x')).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST' });
    // The caller's credentials end here.
    expect(JSON.stringify([connect.request.headers, connect.request.rawHeaders])).not.toContain(testTokens.admin);
    expect(connect.socket.writable).toBe(true);
    connect.socket.end();
    expect(await answerOf(socket)).toMatch(/^HTTP\/1.1 101 Switching Protocols\r\n[^]*hello$/);
  });

  it('knows its caller by a token among the WebSocket subprotocols, and takes it out', async () => {
    const given = deferred<ConnectRequest>();
    handler = async (connect) => given.resolve(connect);
    const token = Buffer.from(testTokens.admin).toString('base64url');
    const socket = await world.connect();
    sockets.push(socket);
    socket.write(
      `GET ${execPath} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n` +
        `Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.${token}, v4.channel.k8s.io\r\n\r\n`,
    );
    const { user, request } = await given.promise;
    expect(user.name).toBe('admin');
    expect(request.headers['sec-websocket-protocol']).toBe('v4.channel.k8s.io');
    expect(request.rawHeaders.join(' ')).not.toContain(token);
  });

  it.each([
    ['nobody may who says not who it is', execPath, { token: '' }, 401, 'Unauthorized'],
    [
      'nobody may without the verb create, by GET either',
      execPath,
      { token: testTokens.bob },
      403,
      'pods "web" is forbidden: User "bob" cannot create resource "pods/exec" in API group "" in the namespace "default"',
    ],
    ['a dry run is refused', `${execPath}?dryRun=All`, {}, 400, 'dryRun is not supported'],
    [
      'other methods are refused',
      execPath,
      { method: 'PUT' },
      405,
      'the server does not allow this method on the requested resource',
    ],
    [
      'a page of another site is refused',
      execPath,
      { headers: ['Origin: https://evil.example.com'] },
      403,
      'a page of "https://evil.example.com" may not open sessions here: --cors-allowed-origins does not name it',
    ],
    [
      'a page whose origin only contains an allowed one is refused',
      execPath,
      { headers: ['Origin: https://console.example.com.evil.com'] },
      403,
      'a page of "https://console.example.com.evil.com" may not open sessions here: --cors-allowed-origins does not name it',
    ],
  ] as const)('%s', async (_title, path, asked, code, message) => {
    const { line, head, body } = statusIn(await answerOf(await ask(path, { headers: [], ...asked })));
    expect(line).toContain(`HTTP/1.1 ${code} `);
    expect(head).toMatch(/\r\nAudit-Id: [0-9a-f-]{36}\r\n/);
    expect(head).toContain('\r\nConnection: close');
    expect(body).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, message });
  });

  it.each(['https://console.example.com', 'https://console.example.com:8443', 'https://127.0.0.1:PORT'])(
    'from a page of %s is let through',
    async (origin) => {
      const given = deferred<ConnectRequest>();
      handler = async (connect) => given.resolve(connect);
      await ask(execPath, { headers: [`Origin: ${origin.replace('PORT', String(world.port))}`] });
      expect((await given.promise).pod).toBe('web');
    },
  );

  it('is refused with what the handler throws before its first byte', async () => {
    handler = async (connect) => void (await connect.findLocation());
    const path = '/api/v1/namespaces/default/pods/nowhere/exec';
    const { line, body } = statusIn(await answerOf(await ask(path)));
    expect(line).toBe('HTTP/1.1 400 Bad Request');
    expect(body).toMatchObject({ reason: 'BadRequest', message: 'pod nowhere does not have a host assigned' });
    const missing = statusIn(await answerOf(await ask(path.replace('nowhere', 'missing'))));
    expect(missing.body).toMatchObject({
      message: 'pods "missing" not found',
      details: { name: 'missing', kind: 'pods' },
    });
  });

  it('is refused through refuse()', async () => {
    handler = (connect) => connect.refuse(new ExecPathError('ERR_DIAL', 'error dialing backend: no route'));
    const { line, body } = statusIn(await answerOf(await ask(execPath)));
    expect(line).toBe('HTTP/1.1 500 Internal Server Error');
    expect(body).toMatchObject({ message: 'Internal error occurred: error dialing backend: no route', code: 500 });
  });

  it('is cut off, not answered twice, when the handler fails after its first byte', async () => {
    handler = async (connect) => {
      answerUpgrade(connect.socket, [['Upgrade', 'SPDY/3.1']]);
      await once(connect.socket, 'data');
      throw new Error('broken');
    };
    const socket = await ask(execPath);
    const [head] = (await once(socket, 'data')) as [Buffer];
    expect(head.toString()).toBe('HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\n\r\n');
    let more = '';
    socket.on('data', (chunk: Buffer) => {
      more += chunk.toString();
    });
    socket.write('x');
    await once(socket, 'close');
    expect(more).toBe('');
  });

  it('without a handler is not implemented', async () => {
    const bare = await ApiWorld.start();
    const socket = await bare.connect();
    socket.write(
      `GET ${execPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${testTokens.admin}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n`,
    );
    expect(statusIn(await answerOf(socket)).line).toBe('HTTP/1.1 501 Not Implemented');
    await bare[Symbol.asyncDispose]();
  });

  it('hears of the server’s end, and is destroyed after the grace', async () => {
    const given = deferred<ConnectRequest>();
    handler = async (connect) => {
      answerUpgrade(connect.socket, [['Upgrade', 'SPDY/3.1']]);
      given.resolve(connect);
      await once(connect.socket, 'close');
    };
    const socket = await ask(execPath);
    const connect = await given.promise;
    await once(socket, 'data');
    const gone = once(socket, 'close');
    const closing = world.server.close();
    expect(connect.signal.aborted).toBe(true);
    await closing;
    await gone;
    expect(connect.socket.destroyed).toBe(true);
  });
});

describe('a request for a streaming subresource that is no upgrade', () => {
  it.each([
    ['web', 400, 'Upgrade request required'],
    ['missing', 404, 'pods "missing" not found'],
    ['nowhere', 400, 'pod nowhere does not have a host assigned'],
  ])('to %s is answered with %i', async (name, status, message) => {
    const path = `/api/v1/namespaces/default/pods/${name}`;
    for (const subresource of ['exec', 'attach', 'portforward']) {
      expect(await world.call(`${path}/${subresource}`)).toMatchObject({ status, json: { message } });
    }
    expect(await world.call(`${path}/exec`, { method: 'POST', token: testTokens.bob })).toMatchObject({ status: 403 });
    expect(await world.call(`${path}/exec?dryRun=All`)).toMatchObject({
      status: 400,
      json: { message: 'dryRun is not supported' },
    });
  });
});

describe('an upgrade of anything else', () => {
  it('is answered as if it had not been asked for, and the connection ends', async () => {
    const socket = await ask('/version', { headers: ['Upgrade: h2c'] });
    const { line, head, body } = statusIn(await answerOf(socket));
    expect(line).toBe('HTTP/1.1 200 OK');
    expect(head).toContain('Connection: close');
    expect(body).toMatchObject({ minor: '32' });
    expect(statusIn(await answerOf(await ask('/%zz'))).line).toBe('HTTP/1.1 404 Not Found');
    expect(statusIn(await answerOf(await ask('/api/v1/pods/%zz'))).line).toBe('HTTP/1.1 400 Bad Request');
  });

  it('right behind another request ends the connection, and nothing else', async () => {
    const auth = `Host: x\r\nAuthorization: Bearer ${testTokens.admin}\r\n`;
    for (const path of ['/version', execPath]) {
      const socket = await world.connect();
      sockets.push(socket);
      const upgrade = `GET ${path} HTTP/1.1\r\n${auth}Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n`;
      const gone = once(socket, 'close');
      socket.write(`GET /api/v1/pods?watch=true HTTP/1.1\r\n${auth}\r\n${upgrade}`);
      socket.resume();
      await gone;
    }
    expect(await world.call('/healthz')).toMatchObject({ status: 200 });
  });
});
