import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { readAll } from '../../../test/support/read-all.ts';
import { UpgradeServer } from '../../../test/support/websocket-pair.ts';
import { subprotocols } from '../../common/subprotocols.ts';
import { acceptChannels, openChannels } from './handshake.ts';
import type { ChannelSession } from './session.ts';

/** A listener for one session of ours. */
async function ourServer(protocols: readonly string[]): Promise<{
  server: UpgradeServer;
  session: Promise<ChannelSession>;
}> {
  let accepted: (session: ChannelSession) => void;
  const session = new Promise<ChannelSession>((resolve) => {
    accepted = resolve;
  });
  const server = await UpgradeServer.listen((request, socket, head) => {
    const made = acceptChannels(request, socket, head, { protocols, readable: [0, 4], writable: [1, 2, 3] });
    if (made !== undefined) accepted(made);
  });
  return { server, session };
}

/** A listener that speaks through `ws`. */
async function theirServer(protocol: string): Promise<{ server: UpgradeServer; peer: Promise<WebSocket> }> {
  const wss = new WebSocketServer({ noServer: true, perMessageDeflate: false, handleProtocols: () => protocol });
  let accepted: (peer: WebSocket) => void;
  const peer = new Promise<WebSocket>((resolve) => {
    accepted = resolve;
  });
  const server = await UpgradeServer.listen((request: IncomingMessage, socket, head) => {
    wss.handleUpgrade(request, socket, head, (webSocket) => accepted(webSocket));
  });
  return { server, peer };
}

describe('our server and the client of ws', () => {
  it('carries stdin, its CLOSE, stdout, the Status and Close 1000', async () => {
    const { server, session } = await ourServer([subprotocols.v5]);
    await using _ = server;
    const peer = new WebSocket(`ws://127.0.0.1:${server.port}/exec`, subprotocols.v5, { perMessageDeflate: false });
    const messages: Buffer[] = [];
    peer.on('message', (data: Buffer) => messages.push(data));
    const closed = once(peer, 'close');
    await once(peer, 'open');
    expect(peer.protocol).toBe(subprotocols.v5);
    peer.send(Buffer.from('\0hi\n'));
    peer.send(Buffer.from([255, 0]));
    const ours = await session;
    expect((await readAll(ours.channel(0))).toString()).toBe('hi\n');
    ours.channel(1).write('hi\n');
    ours.channel(3).write('{"metadata":{},"status":"Success"}');
    await ours.close();
    const [code] = (await closed) as [number];
    expect(code).toBe(1000);
    expect(messages.map(String)).toEqual(['\x01', '\x01hi\n', '\x03{"metadata":{},"status":"Success"}']);
    expect(await ours.closed).toEqual({ kind: 'clean', by: 'local' });
  });

  it('takes fragments and answers PINGs between them', async () => {
    const { server, session } = await ourServer([subprotocols.v4]);
    await using _ = server;
    const peer = new WebSocket(`ws://127.0.0.1:${server.port}/`, subprotocols.v4, { perMessageDeflate: false });
    await once(peer, 'open');
    const pong = once(peer, 'pong');
    peer.send(Buffer.from('\0frag'), { fin: false });
    peer.ping('between');
    peer.send(Buffer.from('ments'), { fin: true });
    expect(String((await pong)[0])).toBe('between');
    const stdin = (await session).channel(0);
    let got = '';
    while (got.length < 9) got += String((await once(stdin, 'data'))[0]);
    expect(got).toBe('fragments');
    peer.close();
    expect(await (await session).closed).toEqual({ kind: 'clean', by: 'remote' });
  });

  it('carries 8 MiB each way over base64', async () => {
    const { server, session } = await ourServer([subprotocols.v4Base64]);
    await using _ = server;
    const peer = new WebSocket(`ws://127.0.0.1:${server.port}/`, subprotocols.v4Base64, { perMessageDeflate: false });
    await once(peer, 'open');
    const hash = createHash('sha256');
    let bytes = 0;
    const done = once(peer, 'close');
    peer.on('message', (data: Buffer, isBinary: boolean) => {
      expect(isBinary).toBe(false);
      expect(data[0]).toBe(0x31);
      const payload = Buffer.from(data.subarray(1).toString('latin1'), 'base64');
      bytes += payload.length;
      hash.update(payload);
    });
    const stdin = randomBytes(8 * 1024 * 1024);
    // One message of 11 million characters: nothing may depend on its size.
    peer.send(`0${stdin.toString('base64')}`);
    const ours = await session;
    ours.channel(0).on('data', (chunk: Buffer) => {
      if (!ours.channel(1).write(chunk)) {
        ours.channel(0).pause();
        ours.channel(1).once('drain', () => ours.channel(0).resume());
      }
      heard += chunk.length;
      if (heard === stdin.length) void ours.close();
    });
    let heard = 0;
    expect((await done)[0]).toBe(1000);
    expect(bytes).toBe(stdin.length);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(stdin).digest('hex'));
  });

  it('notices a client that is terminated', async () => {
    const { server, session } = await ourServer([subprotocols.v5]);
    await using _ = server;
    const peer = new WebSocket(`ws://127.0.0.1:${server.port}/`, subprotocols.v5, { perMessageDeflate: false });
    await once(peer, 'open');
    peer.terminate();
    expect(await (await session).closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_CONNECTION_LOST' } });
  });
});

describe('our client and the server of ws', () => {
  it('carries stdin, its CLOSE, stdout and ends clean at Close 1000', async () => {
    const { server, peer } = await theirServer(subprotocols.v5);
    await using _ = server;
    const session = await openChannels(await server.connect(), {
      path: '/exec',
      host: 'podwire.test',
      protocols: [subprotocols.v5],
    });
    expect(session.protocol).toBe(subprotocols.v5);
    const theirs = await peer;
    const messages: Buffer[] = [];
    const gotClose = new Promise<void>((resolve) => {
      theirs.on('message', (data: Buffer) => {
        messages.push(data);
        if (data[0] === 255) resolve();
      });
    });
    session.channel(0).end('hi\n');
    await gotClose;
    expect(messages).toEqual([Buffer.from('\0hi\n'), Buffer.from([255, 0])]);
    theirs.send(Buffer.from('\x01'));
    theirs.send(Buffer.from('\x01hi\n'));
    theirs.close(1000);
    expect((await readAll(session.channel(1))).toString()).toBe('hi\n');
    expect((await readAll(session.channel(3))).toString()).toBe('');
    expect(await session.closed).toEqual({ kind: 'clean', by: 'remote' });
  });

  it('takes fragments and PINGs of ws, and its empty Close for a loss', async () => {
    const { server, peer } = await theirServer(subprotocols.v5);
    await using _ = server;
    const session = await openChannels(await server.connect(), {
      path: '/',
      host: 'podwire.test',
      protocols: [subprotocols.v5],
      pingIntervalMs: 5,
    });
    const theirs = await peer;
    await once(theirs, 'ping');
    const pong = once(theirs, 'pong');
    theirs.send(Buffer.from('\x01frag'), { fin: false });
    theirs.ping('between');
    theirs.send(Buffer.from('ments'), { fin: true });
    expect(String((await pong)[0])).toBe('between');
    let got = '';
    while (got.length < 9) got += String((await once(session.channel(1), 'data'))[0]);
    expect(got).toBe('fragments');
    theirs.close();
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { message: expect.stringContaining('1005') } });
  });

  it('says goodbye to ws with 1000', async () => {
    const { server, peer } = await theirServer(subprotocols.v4);
    await using _ = server;
    const session = await openChannels(await server.connect(), {
      path: '/',
      host: 'podwire.test',
      protocols: [subprotocols.v4],
    });
    const closed = once(await peer, 'close');
    await session.close();
    expect((await closed)[0]).toBe(1000);
  });
});
