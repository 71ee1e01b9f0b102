import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import {
  listen,
  proxyUpgrade,
  refuseUpgrade,
  requestUpgrade,
  type UpgradeProxyResult,
} from '../../src/httpstream/index.ts';

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(
    () => server.close(),
    () => server.closeAllConnections(),
  );
  return (server.address() as AddressInfo).port;
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  closers.push(() => socket.destroy());
  return socket;
}

/** A hop in front of the server at `port`, and what became of its sessions. */
async function hopBefore(port: number): Promise<{ port: number; results: UpgradeProxyResult[] }> {
  const results: UpgradeProxyResult[] = [];
  const listener = await listen({
    onRequest: (_request, response) => response.writeHead(404).end(),
    onUpgrade: (request, socket, head) => {
      void proxyUpgrade(
        { request, socket, head },
        {
          connect: () => dial(port),
          path: '/other?x=1',
          headers: { Host: 'backend', 'Audit-ID': 'id-1' },
          dropHeaders: ['authorization'],
        },
        { refuse: (client, error) => refuseUpgrade(client, 500, error.message) },
      ).then((result) => results.push(result));
    },
  });
  closers.push(() => listener.close(0));
  return { port: listener.port, results };
}

describe('the upgrade relay in front of somebody else’s server', () => {
  it('carries a WebSocket of the `ws` library both ways and its close code', async () => {
    const http = createServer();
    const server = new WebSocketServer({ server: http });
    server.on('connection', (peer) => peer.on('message', (data) => peer.send(data, { binary: true })));
    const hop = await hopBefore(await listening(http));
    const client = new WebSocket(`ws://127.0.0.1:${hop.port}/anything`);
    await once(client, 'open');
    const payload = Buffer.alloc(3_000_000, 'z');
    client.send(payload);
    const [echo] = (await once(client, 'message')) as [Buffer];
    expect(echo.equals(payload)).toBe(true);
    client.close(4001, 'bye');
    const [code] = (await once(client, 'close')) as [number];
    expect(code).toBe(4001);
    await expect.poll(() => hop.results.length).toBe(1);
    expect(hop.results[0]).toMatchObject({ kind: 'relayed' });
  });

  it('gotcha 68: keeps every header line, drops what is spent and adds its own', async () => {
    let seen: IncomingMessage | undefined;
    const server = createServer().on('upgrade', (request: IncomingMessage, socket: Duplex) => {
      seen = request;
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: anything/9\r\nX-One: 1\r\nX-One: 2\r\n\r\nfirst bytes',
      );
    });
    const hop = await hopBefore(await listening(server));
    const protocols = ['v5', 'v4', 'v3', 'v2', 'v1'].map((name): [string, string] => [
      'X-Stream-Protocol-Version',
      name,
    ]);
    const answer = await requestUpgrade(await dial(hop.port), {
      method: 'POST',
      path: '/asked?for=this',
      headers: [
        ['Host', 'front'],
        ['Connection', 'Upgrade'],
        ['Upgrade', 'anything/9'],
        ['Authorization', 'Bearer secret'],
        ['X-Forwarded-For', '192.0.2.9'],
        ['Audit-ID', 'given'],
        ...protocols,
        ['Content-Length', '0'],
      ],
    });
    expect(answer.headers.filter(([name]) => name === 'X-One').map(([, value]) => value)).toEqual(['1', '2']);
    expect(seen?.method).toBe('POST');
    expect(seen?.url).toBe('/other?x=1');
    expect(seen?.headers).toMatchObject({
      host: 'backend',
      'audit-id': 'id-1',
      'x-forwarded-for': '192.0.2.9, 127.0.0.1',
    });
    expect(seen?.headers.authorization).toBeUndefined();
    expect(seen?.rawHeaders.filter((name) => name === 'X-Stream-Protocol-Version')).toHaveLength(5);
  });

  it('gotcha 5: passes bytes on that came in one segment with the 101', async () => {
    const server = createServer().on('upgrade', (_request: IncomingMessage, socket: Duplex) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly');
    });
    const hop = await hopBefore(await listening(server));
    const socket = await dial(hop.port);
    const headers: [string, string][] = [
      ['Host', 'front'],
      ['Connection', 'Upgrade'],
      ['Upgrade', 'x'],
    ];
    const { head } = await requestUpgrade(socket, { method: 'GET', path: '/', headers });
    let text = head.toString();
    socket.on('data', (bytes: Buffer) => (text += bytes.toString())).resume();
    if (!socket.readableEnded) await once(socket, 'end');
    expect(text).toBe('early');
  });

  it('gotcha 66: closes both connections behind a refusal: no second request is possible', async () => {
    const server = createServer().on('upgrade', (_request: IncomingMessage, socket: Duplex) => {
      socket.write(
        'HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"message":"x"',
      );
    });
    const hop = await hopBefore(await listening(server));
    const socket = await dial(hop.port);
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    let answer = '';
    socket.on('data', (bytes: Buffer) => (answer += bytes.toString()));
    await once(socket, 'end');
    socket.end('GET /secret HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(socket, 'close');
    expect(answer).toContain('HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n');
    expect(answer).toMatch(/Connection: close/i);
    expect(answer.endsWith('{"message":"x"')).toBe(true);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  it('says that the backend cannot be dialed', async () => {
    const hop = await hopBefore(1);
    const socket = await dial(hop.port);
    const headers: [string, string][] = [
      ['Host', 'front'],
      ['Connection', 'Upgrade'],
      ['Upgrade', 'x'],
    ];
    await expect(requestUpgrade(socket, { method: 'GET', path: '/', headers })).rejects.toMatchObject({
      httpStatus: 500,
      message: expect.stringContaining('error dialing backend: connect ECONNREFUSED'),
    });
    expect(hop.results[0]).toMatchObject({ kind: 'refused' });
  });
});
