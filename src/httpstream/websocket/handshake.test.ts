import { once } from 'node:events';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { rawFrame } from '../../../test/support/raw-websocket.ts';
import { readAll } from '../../../test/support/read-all.ts';
import { tcpPair, UpgradeServer } from '../../../test/support/websocket-pair.ts';
import { subprotocols, webSocketAccept } from '../../common/subprotocols.ts';
import { acceptByteStream, acceptChannels, acceptValue, openByteStream, openChannels } from './handshake.ts';
import type { ChannelSession } from './session.ts';

const exec = { readable: [0, 4], writable: [1, 2, 3] } as const;
const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const upgradeLines = `Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n`;

/** Answers every upgrade as exec does; `sessions` collects what was accepted. */
async function execServer(options: { readonly greet?: boolean; readonly writable?: number[] } = {}): Promise<{
  server: UpgradeServer;
  sessions: (ChannelSession | undefined)[];
}> {
  const sessions: (ChannelSession | undefined)[] = [];
  const server = await UpgradeServer.listen((request, socket, head) => {
    sessions.push(acceptChannels(request, socket, head, { protocols: webSocketAccept, ...exec, ...options }));
  });
  return { server, sessions };
}

/** The whole answer to a request, up to EOF. */
async function answerTo(server: UpgradeServer, request: string): Promise<string> {
  const socket = await server.connect();
  socket.write(request);
  const answer = await readAll(socket);
  socket.end();
  return answer.toString('latin1');
}

/** The first bytes that come. */
async function firstOf(socket: Socket): Promise<string> {
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.toString('latin1');
}

describe('acceptChannels', () => {
  it('answers with exactly the four header lines, then the first, empty message', async () => {
    const { server } = await execServer();
    await using _ = server;
    const socket = await server.connect();
    socket.write(`GET /exec HTTP/1.1\r\n${upgradeLines}Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n`);
    let answer = '';
    while (!answer.endsWith('\x82\x01\x01')) answer += await firstOf(socket);
    expect(answer.slice(0, -3).split('\r\n')).toEqual([
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'Sec-WebSocket-Protocol: v4.channel.k8s.io',
      '',
      '',
    ]);
    socket.destroy();
  });

  it.each([
    [[1, 2, 3], '\x82\x01\x01'],
    [[2, 3], '\x82\x01\x02'],
    [[3], '\x82\x01\x03'],
  ])('sends the first message on the lowest of %j', async (writable, message) => {
    const { server } = await execServer({ writable });
    await using _ = server;
    const socket = await server.connect();
    socket.write(`GET / HTTP/1.1\r\n${upgradeLines}Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n`);
    let answer = '';
    while (!answer.endsWith(message)) answer += await firstOf(socket);
    socket.destroy();
  });

  it('gotcha 57: leaves the header out for a client that offers no subprotocol', async () => {
    const { server, sessions } = await execServer();
    await using _ = server;
    const socket = await server.connect();
    socket.write(`GET / HTTP/1.1\r\n${upgradeLines}\r\n`);
    expect(await firstOf(socket)).not.toMatch(/sec-websocket-protocol/i);
    expect(sessions[0]?.protocol).toBe('');
    socket.destroy();
  });

  it('selects the first of the client that it knows, over several header lines', async () => {
    const { server, sessions } = await execServer();
    await using _ = server;
    const socket = await server.connect();
    const lines =
      'Sec-WebSocket-Protocol: v9.example, v4.channel.k8s.io\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n';
    socket.write(`GET / HTTP/1.1\r\n${upgradeLines}${lines}\r\n`);
    await firstOf(socket);
    expect(sessions[0]?.protocol).toBe(subprotocols.v4);
    socket.destroy();
  });

  it.each(['v2.channel.k8s.io', 'v3.channel.k8s.io', 'chat'])('gotcha 59: refuses %s with a bare 403', async (name) => {
    const { server, sessions } = await execServer();
    await using _ = server;
    const answer = await answerTo(server, `GET / HTTP/1.1\r\n${upgradeLines}Sec-WebSocket-Protocol: ${name}\r\n\r\n`);
    expect(answer).toBe('HTTP/1.1 403 Forbidden\r\n\r\n');
    expect(sessions).toEqual([undefined]);
  });

  it.each([
    ['POST', upgradeLines, 405, /bad method/],
    ['GET', upgradeLines.replace('Upgrade: websocket', 'Upgrade: SPDY/3.1'), 400, /not a WebSocket/],
    ['GET', upgradeLines.replace(/Sec-WebSocket-Key.*\r\n/, ''), 400, /Sec-WebSocket-Key/],
    ['GET', upgradeLines.replace('Version: 13', 'Version: 8'), 400, /Sec-WebSocket-Version: 13\r\n/],
    ['GET', upgradeLines.replace(/Sec-WebSocket-Version.*\r\n/, ''), 400, /Sec-WebSocket-Version: 13\r\n/],
  ])('refuses a %s with a broken handshake', async (method, lines, status, text) => {
    const { server, sessions } = await execServer();
    await using _ = server;
    const answer = await answerTo(server, `${method} / HTTP/1.1\r\n${lines}\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toMatch(text);
    expect(sessions).toEqual([undefined]);
  });

  it('reads frames that came with the request', async () => {
    const { server, sessions } = await execServer();
    await using _ = server;
    const socket = await server.connect();
    const frame = rawFrame(0x82, '\0hi', Buffer.alloc(4));
    socket.write(Buffer.concat([Buffer.from(`GET / HTTP/1.1\r\n${upgradeLines}\r\n`), frame]));
    await firstOf(socket);
    const [chunk] = (await once(sessions[0]!.channel(0), 'data')) as [Buffer];
    expect(chunk.toString()).toBe('hi');
    socket.destroy();
  });

  it('gotcha 87: leaves the first message of the older port-forward to its caller', async () => {
    const { server, sessions } = await execServer({ greet: false });
    await using _ = server;
    const socket = await server.connect();
    socket.write(`GET / HTTP/1.1\r\n${upgradeLines}Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n`);
    await firstOf(socket);
    sessions[0]!.channel(1).write(Buffer.of(0x90, 0x1f));
    expect(await firstOf(socket)).toBe('\x82\x03\x01\x90\x1f');
    socket.destroy();
  });
});

/** A server that answers the first request with `answer`, whatever it is, once the key is known. */
async function scripted(answer: (key: string) => string): Promise<{ socket: Socket; request: Promise<string> }> {
  const listener = createTcpServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const request = new Promise<string>((resolve) => {
    listener.once('connection', (peer) => {
      peer.on('error', () => {});
      let text = '';
      peer.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        if (!text.includes('\r\n\r\n')) return;
        peer.end(answer(/sec-websocket-key: (\S+)/i.exec(text)?.[1] ?? ''), 'latin1');
        resolve(text);
      });
      listener.close();
    });
  });
  const { port } = listener.address() as AddressInfo;
  return { socket: connect({ port, host: '127.0.0.1', allowHalfOpen: true }), request };
}

const switching = (accept: string, more: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${more}\r\n`;

const v5Only = { path: '/exec?command=sh', host: 'podwire.test', protocols: [subprotocols.v5] };

describe('openChannels', () => {
  it('asks as a WebSocket client does and reads what came with the 101', async () => {
    const { socket, request } = await scripted(
      (asked) =>
        `${switching(acceptValue(asked), 'Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n')}\x82\x01\x01\x82\x03\x01hi\x88\x02\x03\xe8`,
    );
    const session = await openChannels(socket, { ...v5Only, headers: [['Authorization', 'Bearer t']] });
    expect((await readAll(session.channel(1))).toString()).toBe('hi');
    expect(await session.closed).toEqual({ kind: 'clean', by: 'remote' });
    const lines = (await request).split('\r\n');
    expect(lines[0]).toBe('GET /exec?command=sh HTTP/1.1');
    expect(lines).toContain('Sec-WebSocket-Protocol: v5.channel.k8s.io');
    expect(lines).toContain('Authorization: Bearer t');
    expect(lines.find((line) => line.startsWith('Sec-WebSocket-Key'))).toMatch(/: [A-Za-z0-9+/]{22}==$/);
  });

  it('gives the status and the body of a refusal', async () => {
    const body = JSON.stringify({ kind: 'Status', message: 'pods "x" not found' });
    const { socket } = await scripted(
      () => `HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await expect(openChannels(socket, v5Only)).rejects.toMatchObject({
      name: 'UpgradeError',
      code: 'ERR_UPGRADE_REFUSED',
      httpStatus: 404,
      body,
      message: expect.stringContaining('pods "x" not found'),
    });
    expect(socket.destroyed).toBe(true);
  });

  it('gives the 403 of our own server', async () => {
    const { server } = await execServer();
    await using _ = server;
    await expect(
      openChannels(await server.connect(), { ...v5Only, protocols: ['v3.channel.k8s.io'] }),
    ).rejects.toMatchObject({ code: 'ERR_UPGRADE_REFUSED', httpStatus: 403, body: '' });
  });

  it.each([
    ['no subprotocol', '', '""'],
    ['an empty one', 'Sec-WebSocket-Protocol: \r\n', '""'],
    ['one that was not offered', 'Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n', '"v4.channel.k8s.io"'],
  ])('refuses a 101 that selects %s', async (_what, line, quoted) => {
    const { socket } = await scripted((asked) => switching(acceptValue(asked), line));
    await expect(openChannels(socket, v5Only)).rejects.toMatchObject({
      code: 'ERR_NO_COMMON_PROTOCOL',
      httpStatus: 101,
      message: expect.stringContaining(quoted),
    });
    expect(socket.destroyed).toBe(true);
  });

  it('takes the empty header of a Go server when it offered none', async () => {
    const { socket } = await scripted(
      (asked) => `${switching(acceptValue(asked), 'Sec-WebSocket-Protocol: \r\n')}\x88\x02\x03\xe8`,
    );
    const session = await openChannels(socket, { ...v5Only, protocols: [] });
    expect(session.protocol).toBe('');
    expect(await session.closed).toEqual({ kind: 'clean', by: 'remote' });
  });

  it.each([
    ['Sec-WebSocket-Accept', () => switching('bm90IHRoaXMgb25l', '')],
    ['Upgrade', (asked: string) => switching(acceptValue(asked), '').replace('WebSocket', 'SPDY/3.1')],
    ['Connection', (asked: string) => switching(acceptValue(asked), '').replace('keep-alive, Upgrade', 'close')],
    [
      'Sec-WebSocket-Extensions',
      (asked: string) => switching(acceptValue(asked), 'Sec-WebSocket-Extensions: permessage-deflate\r\n'),
    ],
  ])('refuses a 101 with a wrong %s', async (name, answer) => {
    const { socket } = await scripted(answer);
    await expect(openChannels(socket, { ...v5Only, protocols: [] })).rejects.toMatchObject({
      code: 'ERR_UPGRADE_REFUSED',
      httpStatus: 101,
      message: expect.stringContaining(name),
    });
  });

  it('gives up after its limit, and when it is told to', async () => {
    const [first, firstPeer] = await tcpPair();
    await expect(openChannels(first, { ...v5Only, timeoutMs: 20 })).rejects.toMatchObject({ code: 'ERR_DIAL_TIMEOUT' });
    const [second, secondPeer] = await tcpPair();
    await expect(openChannels(second, { ...v5Only, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_ABORTED',
    });
    expect([first.destroyed, second.destroyed]).toEqual([true, true]);
    firstPeer.destroy();
    secondPeer.destroy();
  });
});

describe('the tunnel', () => {
  it('is negotiated and carries bytes both ways', async () => {
    await using server = await UpgradeServer.listen((request, socket, head) => {
      const stream = acceptByteStream(request, socket, head, { protocol: subprotocols.portForwardTunnel });
      stream?.pipe(stream);
    });
    const stream = await openByteStream(await server.connect(), {
      path: '/portforward',
      host: 'podwire.test',
      protocols: [subprotocols.portForwardTunnel],
    });
    expect(stream.protocol).toBe('SPDY/3.1+portforward.k8s.io');
    stream.write('echo');
    const [chunk] = (await once(stream, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('echo');
    stream.end();
    await once(stream, 'close');
    expect(await stream.ended).toEqual({ kind: 'clean', by: 'local' });
  });

  it('refuses a broken handshake as channels do', async () => {
    await using server = await UpgradeServer.listen((request, socket, head) => {
      expect(acceptByteStream(request, socket, head, { protocol: '' })).toBeUndefined();
    });
    expect(await answerTo(server, `POST / HTTP/1.1\r\n${upgradeLines}\r\n`)).toMatch(/^HTTP\/1.1 405 /);
  });
});
