import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../../test/support/duplex-pair.ts';
import { readAll } from '../../../test/support/read-all.ts';
import { SpdyPair, sessionAgainstRaw } from '../../../test/support/spdy-pair.ts';
import { ExecPathError } from '../../common/errors.ts';
import type { CloseReason } from '../connection.ts';
import type { IncomingStream } from './incoming.ts';
import { SpdySession } from './session.ts';
import { MAX_PEER_HEADER_CHARS, MAX_PEER_STREAMS } from './stream-table.ts';

describe('opening a stream', () => {
  it('gives both ends the headers, names in lower case', async () => {
    await using pair = new SpdyPair();
    const [near, far] = await pair.open({ streamType: 'stdin', Port: '8080' });
    expect(Object.fromEntries(near.headers)).toEqual({ streamtype: 'stdin', port: '8080' });
    expect(Object.fromEntries(far.headers)).toEqual({ streamtype: 'stdin', port: '8080' });
    expect([near.id, far.id]).toEqual([1, 1]);
  });

  it('gotcha 8: compresses the headers of 100 streams in the order of the wire', async () => {
    await using pair = new SpdyPair();
    const all = Array.from({ length: 100 }, (_, index) => pair.open({ number: String(index) }));
    const opened = await Promise.all(all);
    expect(opened.map(([near, far]) => [near.headers.get('number'), far.id])).toEqual(
      Array.from({ length: 100 }, (_, index) => [String(index), index * 2 + 1]),
    );
  });

  it('fails with ERR_STREAM_REFUSED when the peer rejects it, and leaves nothing behind', async () => {
    await using pair = new SpdyPair();
    const opening = pair.client.openStream({ streamtype: 'data' });
    (await pair.incoming()).reject();
    await expect(opening).rejects.toMatchObject({
      code: 'ERR_STREAM_REFUSED',
      message: expect.stringContaining('status 5'),
    });
    expect([pair.client.streamCount, pair.server.streamCount]).toEqual([0, 0]);
  });

  it('fails with ERR_STREAM_TIMEOUT when nobody answers, and resets the stream', async () => {
    await using raw = sessionAgainstRaw({ role: 'client', streamTimeoutMs: 20 });
    await expect(raw.session.openStream({ a: 'b' })).rejects.toMatchObject({ code: 'ERR_STREAM_TIMEOUT' });
    expect(await raw.peer.frame('RST_STREAM')).toMatchObject({ streamId: 1, status: 5 });
    expect(raw.session.streamCount).toBe(0);
  });

  it('fails with ERR_ABORTED by its signal, before and while it waits', async () => {
    await using raw = sessionAgainstRaw({ role: 'client' });
    await expect(raw.session.openStream({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_ABORTED',
    });
    const caller = new AbortController();
    const opening = raw.session.openStream({}, { signal: caller.signal });
    caller.abort();
    await expect(opening).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect(await raw.peer.frame('RST_STREAM')).toMatchObject({ streamId: 1, status: 5 });
    expect(raw.session.streamCount).toBe(0);
  });

  it('fails with ERR_CONNECTION_LOST when the connection is over or ends meanwhile', async () => {
    await using raw = sessionAgainstRaw({ role: 'client' });
    const opening = raw.session.openStream({});
    raw.peer.socket.end();
    await expect(opening).rejects.toMatchObject({ code: 'ERR_CONNECTION_LOST' });
    await expect(raw.session.openStream({})).rejects.toMatchObject({ code: 'ERR_CONNECTION_LOST' });
  });

  it('fails with ERR_HEADER_BLOCK for headers that SPDY cannot say, and uses up no id', async () => {
    await using pair = new SpdyPair();
    await expect(pair.client.openStream({ host: 'x' })).rejects.toMatchObject({ code: 'ERR_HEADER_BLOCK' });
    const [near] = await pair.open();
    expect(near.id).toBe(1);
  });

  it('treats SYN_REPLY with FIN as the end of the peer’s half, and ignores a second SYN_REPLY', async () => {
    await using raw = sessionAgainstRaw({ role: 'client' });
    const opening = raw.session.openStream({});
    await raw.peer.frame('SYN_STREAM');
    const reply = Buffer.from(raw.peer.encode.synReply(1));
    reply.writeUInt8(1, 4);
    raw.peer.send(reply, raw.peer.encode.synReply(1));
    const stream = await opening;
    expect((await readAll(stream)).length).toBe(0);
    expect(stream.state).toBe('halfRemote');
  });
});

describe('an incoming stream', () => {
  it('is rejected where nobody listens', async () => {
    await using raw = sessionAgainstRaw({ role: 'server' });
    raw.peer.send(raw.peer.encode.synStream(1, {}));
    expect(await raw.peer.frame('RST_STREAM')).toMatchObject({ streamId: 1, status: 5 });
  });

  it('gotcha 35: is rejected when nobody decides in time, and cannot be accepted afterwards', async () => {
    await using pair = new SpdyPair({ server: { streamTimeoutMs: 20 } });
    const opening = pair.client.openStream({});
    const incoming = await pair.incoming();
    await expect(opening).rejects.toMatchObject({ code: 'ERR_STREAM_REFUSED' });
    expect(() => incoming.accept()).toThrow(/rejected before/);
  });

  it('gotcha 37: can be rejected in the middle of a session without touching the others', async () => {
    await using pair = new SpdyPair();
    const [near, far] = await pair.open();
    const extra = pair.client.openStream({ streamtype: 'extra' });
    (await pair.incoming()).reject();
    await expect(extra).rejects.toMatchObject({ code: 'ERR_STREAM_REFUSED' });
    near.end('still here');
    expect((await readAll(far)).toString()).toBe('still here');
  });

  it('keeps what arrives before it is accepted', async () => {
    const incoming: IncomingStream[] = [];
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => incoming.push(one) });
    raw.peer.send(raw.peer.encode.synStream(1, {}), raw.peer.data(1, 'early', true), raw.peer.encode.ping(1));
    await raw.peer.frame('PING');
    const stream = incoming[0]?.accept();
    expect((await readAll(stream!)).toString()).toBe('early');
    expect(incoming[0]?.accept()).toBe(stream);
  });

  it('gotcha 21: has its SYN_REPLY on the wire before any DATA', async () => {
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => one.accept().end('at once') });
    raw.peer.send(raw.peer.encode.synStream(1, {}));
    await raw.peer.dataOf(1, (_bytes, fin) => fin);
    expect(raw.peer.frames.map(({ type }) => type)).toEqual(['SYN_REPLY', 'DATA', 'DATA']);
  });

  it.each([
    ['repeats', 1],
    ['is even', 4],
  ])('gotcha 89: whose id %s is reset with PROTOCOL_ERROR, and the connection lives', async (_what, id) => {
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => void one.accept() });
    raw.peer.send(raw.peer.encode.synStream(1, {}), raw.peer.encode.synStream(id, { a: 'b' }));
    expect(await raw.peer.frame('RST_STREAM')).toMatchObject({ streamId: id, status: 1 });
    raw.peer.send(raw.peer.encode.synStream(7, { a: 'b' }), raw.peer.encode.ping(1));
    expect(await raw.peer.frame('SYN_REPLY', ({ streamId }) => streamId === 7)).toBeTruthy();
    expect(await raw.peer.frame('PING')).toMatchObject({ id: 1 });
  });

  it('gotcha 89: with an id of 32 bits is reset with PROTOCOL_ERROR', async () => {
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => void one.accept() });
    raw.peer.send(raw.peer.encode.synStream(0x8000_0001, {}));
    expect(await raw.peer.frame('RST_STREAM')).toMatchObject({ streamId: 0x8000_0001, status: 1 });
  });

  it('gotcha 7: has its headers inflated even where it is refused, so that the next one is readable', async () => {
    const types: (string | undefined)[] = [];
    await using raw = sessionAgainstRaw({
      role: 'server',
      onStream: (one) => {
        types.push(one.headers.get('streamtype'));
        one.accept();
      },
    });
    raw.peer.send(
      raw.peer.encode.synStream(2, { streamtype: 'wrong parity' }),
      raw.peer.encode.synStream(3, { streamtype: 'error' }),
    );
    await raw.peer.frame('SYN_REPLY');
    expect(types).toEqual(['error']);
  });

  it(`is refused when ${MAX_PEER_STREAMS} others live`, async () => {
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => void one.accept() });
    for (let count = 0; count <= MAX_PEER_STREAMS; count += 1)
      raw.peer.send(raw.peer.encode.synStream(count * 2 + 1, {}));
    expect(await raw.peer.frame('RST_STREAM')).toMatchObject({ streamId: MAX_PEER_STREAMS * 2 + 1, status: 3 });
    expect(raw.session.streamCount).toBe(MAX_PEER_STREAMS);
  });

  it('is refused when the headers of the others take too much memory', async () => {
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => void one.accept() });
    const value = 'v'.repeat(1024 * 1024);
    const fitting = Math.floor(MAX_PEER_HEADER_CHARS / (value.length + 1));
    for (let count = 0; count <= fitting; count += 1)
      raw.peer.send(raw.peer.encode.synStream(count * 2 + 1, { a: value }));
    expect(await raw.peer.frame('RST_STREAM')).toMatchObject({ streamId: fitting * 2 + 1, status: 3 });
  });
});

describe('a stream’s halves', () => {
  it('end one by one, ours first', async () => {
    await using pair = new SpdyPair();
    const [near, far] = await pair.open();
    near.end('question');
    expect((await readAll(far)).toString()).toBe('question');
    expect([near.state, far.state]).toEqual(['halfLocal', 'halfRemote']);
    const closed = Promise.all([once(near, 'close'), once(far, 'close')]);
    far.end('answer');
    expect((await readAll(near)).toString()).toBe('answer');
    await closed;
    expect([pair.client.streamCount, pair.server.streamCount]).toEqual([0, 0]);
    expect([near.resetByPeer, far.resetByPeer]).toEqual([false, false]);
  });

  it('end with one FIN each and no RST_STREAM', async () => {
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => one.accept().resume().end('x') });
    raw.peer.send(raw.peer.encode.synStream(1, {}), raw.peer.data(1, '', true));
    await raw.peer.dataOf(1, (_bytes, fin) => fin);
    raw.peer.send(raw.peer.encode.ping(1));
    await raw.peer.frame('PING');
    expect(raw.peer.frames.map(({ type }) => type)).toEqual(['SYN_REPLY', 'DATA', 'DATA', 'PING']);
  });

  it.each(['open', 'halfLocal', 'halfRemote'] as const)(
    'are reset by destroy() while the stream is %s',
    async (state) => {
      await using pair = new SpdyPair();
      const [near, far] = await pair.open();
      near.resume();
      far.resume();
      if (state === 'halfLocal') {
        near.end();
        await once(far, 'end');
      }
      if (state === 'halfRemote') {
        far.end();
        await once(near, 'end');
      }
      expect(near.state).toBe(state);
      const closed = once(far, 'close');
      near.destroy();
      await closed;
      expect(far.resetByPeer).toBe(true);
      expect([pair.client.streamCount, pair.server.streamCount]).toEqual([0, 0]);
    },
  );

  it('gotcha 24: reset by the peer, give all earlier data and then a plain end', async () => {
    await using pair = new SpdyPair();
    const [near, far] = await pair.open();
    await new Promise((resolve) => far.write('x'.repeat(300_000), resolve));
    far.destroy();
    expect((await readAll(near)).length).toBe(300_000);
    expect(near.resetByPeer).toBe(true);
    expect(near.errored).toBeNull();
  });

  it('swallow writes after a reset while there is something to read, and are destroyed at its end', async () => {
    await using pair = new SpdyPair();
    const [near, far] = await pair.open();
    await new Promise((resolve) => far.write('unread', resolve));
    far.destroy();
    await pair.client.ping();
    expect(near.resetByPeer).toBe(true);
    await new Promise<void>((resolve, reject) => near.write('gone', (error) => (error ? reject(error) : resolve())));
    const closed = once(near, 'close');
    expect((await readAll(near)).toString()).toBe('unread');
    await closed;
    expect(near.errored).toBeNull();
  });

  it.each(['reset', 'connection'] as const)('stop an endless writer that nobody reads beside: %s', async (what) => {
    await using pair = new SpdyPair();
    const [near, far] = await pair.open();
    far.resume();
    const endless = new Readable({ read: () => setImmediate(() => endless.push(Buffer.alloc(1000))) });
    const piping = pipeline(endless, near);
    await once(far, 'data');
    if (what === 'reset') far.destroy();
    else pair.server.destroy();
    await expect(piping).rejects.toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    expect(endless.destroyed).toBe(true);
  });

  it('ignore what arrives for a stream that is gone', async () => {
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => one.reject() });
    const { encode, send } = { encode: raw.peer.encode, send: raw.peer.send.bind(raw.peer) };
    send(
      encode.synStream(1, {}),
      raw.peer.data(1, 'late', true),
      encode.rstStream(1, 5),
      encode.synReply(1),
      encode.ping(1),
    );
    await raw.peer.frame('PING');
    expect(raw.peer.frames.map(({ type }) => type)).toEqual(['RST_STREAM', 'PING']);
  });

  it('gotcha 22: take DATA that arrives before the SYN_REPLY', async () => {
    await using raw = sessionAgainstRaw({ role: 'client' });
    const opening = raw.session.openStream({});
    await raw.peer.frame('SYN_STREAM');
    raw.peer.send(raw.peer.data(1, 'early '), raw.peer.encode.synReply(1), raw.peer.data(1, 'late', true));
    expect((await readAll(await opening)).toString()).toBe('early late');
  });

  it('send small writes of one tick in one piece, and large ones in frames of at most 64 KiB', async () => {
    await using raw = sessionAgainstRaw({
      role: 'server',
      onStream: (one) => {
        const stream = one.accept();
        for (let count = 0; count < 100; count += 1) stream.write('tick ');
        stream.end(Buffer.alloc(200_000));
      },
    });
    raw.peer.send(raw.peer.encode.synStream(1, {}));
    const bytes = await raw.peer.dataOf(1, (_bytes, fin) => fin);
    expect(bytes.length).toBe(200_500);
    const heads = Buffer.concat(raw.peer.received);
    const lengths: number[] = [];
    for (let at = 0; at < heads.length; ) {
      const length = heads.readUIntBE(at + 5, 3);
      if (heads.readUInt8(at) < 0x80) lengths.push(length);
      at += 8 + length;
    }
    expect(Math.max(...lengths)).toBe(64 * 1024);
    expect(lengths.length).toBeLessThan(8);
  });
});

describe('a session', () => {
  it('gotcha 3: as a server says nothing before the client’s first byte, not even goodbye', async () => {
    await using raw = sessionAgainstRaw({ role: 'server', pingIntervalMs: 1 });
    const lost = expect(raw.session.ping()).rejects.toMatchObject({ code: 'ERR_CONNECTION_LOST' });
    await expect(raw.session.openStream({})).rejects.toMatchObject({ code: 'ERR_STREAM_REFUSED' });
    const closing = raw.session.close();
    await raw.peer.ended();
    raw.peer.socket.end();
    await Promise.all([closing, lost]);
    expect(raw.peer.received).toEqual([]);
  });

  it('gotcha 5: processes bytes that came with the upgrade before the socket’s', async () => {
    const [near, far] = duplexPair();
    far.write(Buffer.from('800300060000000400000004', 'hex'));
    const head = Buffer.from('800300060000000400000002', 'hex');
    await using raw = sessionAgainstRaw({ role: 'client', head }, [near, far]);
    await raw.peer.frame('PING', ({ id }) => id === 4);
    expect(raw.peer.frames.map((frame) => frame.type === 'PING' && frame.id)).toEqual([2, 4]);
  });

  it('gotcha 15: ignores SETTINGS, WINDOW_UPDATE and HEADERS before and in the middle', async () => {
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => void one.accept() });
    const settings = Buffer.from('800300040000000400000000', 'hex');
    const windowUpdate = Buffer.from('80030009000000080000000000010000', 'hex');
    raw.peer.send(settings, windowUpdate, raw.peer.encode.synStream(1, { a: 'b' }), settings, windowUpdate);
    await raw.peer.frame('SYN_REPLY');
    const headers = Buffer.from(raw.peer.encode.synReply(1));
    headers.writeUInt16BE(8, 2);
    raw.peer.send(headers, windowUpdate, raw.peer.encode.synStream(3, { c: 'd' }));
    expect(await raw.peer.frame('SYN_REPLY', ({ streamId }) => streamId === 3)).toBeTruthy();
  });

  it('gotcha 19: echoes pings of the peer’s parity and drops echoes that it does not expect', async () => {
    await using raw = sessionAgainstRaw({ role: 'server' });
    raw.peer.send(raw.peer.encode.ping(2), raw.peer.encode.ping(4), raw.peer.encode.ping(9));
    await raw.peer.frame('PING', ({ id }) => id === 9);
    expect(raw.peer.frames).toEqual([{ type: 'PING', id: 9 }]);
    const trip = raw.session.ping();
    await raw.peer.frame('PING', ({ id }) => id === 2);
    raw.peer.send(raw.peer.encode.ping(2));
    expect(await trip).toBeGreaterThanOrEqual(0);
  });

  it('publishes its frames on a diagnostics channel', async () => {
    const seen: unknown[] = [];
    const watch = (message: unknown): void => {
      const { role, direction, frame } = message as { role: string; direction: string; frame: { type: string } };
      seen.push(`${role} ${direction} ${frame.type}`);
    };
    subscribe('exec:spdy:frame', watch);
    try {
      await using pair = new SpdyPair();
      await pair.open();
    } finally {
      unsubscribe('exec:spdy:frame', watch);
    }
    expect(seen).toEqual([
      'client out SYN_STREAM',
      'server in SYN_STREAM',
      'server out SYN_REPLY',
      'client in SYN_REPLY',
    ]);
  });

  it('tells its owner of DATA in both directions and of nothing else', async () => {
    let active = 0;
    await using pair = new SpdyPair({ client: { onActivity: () => (active += 1) } });
    const [near, far] = await pair.open();
    await pair.client.ping();
    expect(active).toBe(0);
    near.end('a');
    await readAll(far);
    far.end('b');
    await readAll(near);
    // a, b and the FIN of the peer, which is a DATA frame; ours carries nothing.
    expect(active).toBe(3);
  });
});

describe('the end of a session', () => {
  const endings: [string, (raw: ReturnType<typeof sessionAgainstRaw>) => void, object][] = [
    ['GOAWAY', ({ peer }) => peer.send(peer.encode.goAway(0, 0)), { kind: 'clean', by: 'remote' }],
    [
      'GOAWAY with an error',
      ({ peer }) => peer.send(peer.encode.goAway(0, 1)),
      { kind: 'lost', error: { code: 'ERR_CONNECTION_LOST' } },
    ],
    [
      'EOF',
      ({ peer }) => peer.socket.end(),
      { kind: 'lost', error: { message: 'the connection ended without a GOAWAY' } },
    ],
    [
      'EOF within a frame',
      ({ peer }) => peer.socket.end(Buffer.from([0x80, 3])),
      { kind: 'lost', error: { message: 'the connection ended in the middle of a frame' } },
    ],
    [
      'a destroyed socket',
      ({ peer }) => peer.socket.destroy(),
      { kind: 'lost', error: { code: 'ERR_CONNECTION_LOST' } },
    ],
    [
      'a broken frame',
      ({ peer }) => peer.socket.end(Buffer.from('8003000500000000', 'hex')),
      { kind: 'lost', error: { code: 'ERR_FRAME' } },
    ],
    [
      'a broken header block',
      ({ peer }) => peer.socket.end(Buffer.from('8003000200000008 00000001 ffffffff'.replaceAll(' ', ''), 'hex')),
      { kind: 'lost', error: { code: 'ERR_HEADER_BLOCK' } },
    ],
  ];

  it.each(endings)('by %s gives readers what arrived, then their end', async (_what, end, reason) => {
    await using raw = sessionAgainstRaw({ role: 'client' });
    const opening = raw.session.openStream({});
    await raw.peer.frame('SYN_STREAM');
    raw.peer.send(raw.peer.encode.synReply(1), raw.peer.data(1, 'x'.repeat(100_000)));
    const stream = await opening;
    await once(stream, 'readable');
    raw.peer.send(raw.peer.encode.ping(2));
    await raw.peer.frame('PING');
    end(raw);
    if (!raw.peer.socket.destroyed) void raw.peer.ended().then(() => raw.peer.socket.end());
    expect(await raw.session.closed).toMatchObject(reason);
    expect((await readAll(stream)).length).toBe(100_000);
    expect([stream.resetByPeer, stream.errored]).toEqual([false, null]);
    expect(raw.session.streamCount).toBe(0);
  });

  it('gotcha 16: by an unknown frame says GOAWAY with PROTOCOL_ERROR', async () => {
    await using raw = sessionAgainstRaw({ role: 'server' });
    raw.peer.send(Buffer.from('8003000500000000', 'hex'));
    expect(await raw.peer.frame('GOAWAY')).toMatchObject({ status: 1 });
    await raw.peer.ended();
    raw.peer.socket.end();
    expect(await raw.session.closed).toMatchObject({ kind: 'lost', error: { name: 'ProtocolError' } });
  });

  it('gotcha 25: by close() comes after all data, with resets before the GOAWAY and nothing behind it', async () => {
    await using raw = sessionAgainstRaw({
      role: 'server',
      onStream: (one) => one.accept().write(Buffer.alloc(500_000)),
    });
    raw.peer.send(raw.peer.encode.synStream(1, {}), raw.peer.encode.ping(1));
    await raw.peer.frame('PING');
    const closing = raw.session.close();
    await raw.peer.ended();
    raw.peer.socket.end();
    await closing;
    expect((await raw.peer.dataOf(1, () => true)).length).toBe(500_000);
    expect(raw.peer.frames.slice(-2)).toEqual([
      { type: 'RST_STREAM', streamId: 1, status: 5 },
      { type: 'GOAWAY', lastGoodStreamId: 1, status: 0 },
    ]);
    expect(await raw.session.closed).toEqual({ kind: 'clean', by: 'local' });
  });

  it('by close() resets no stream that this side has finished', async () => {
    await using raw = sessionAgainstRaw({ role: 'server', onStream: (one) => one.accept().end('done') });
    raw.peer.send(raw.peer.encode.synStream(1, {}));
    await raw.peer.dataOf(1, (_bytes, fin) => fin);
    const closing = raw.session.close();
    await raw.peer.ended();
    raw.peer.socket.end();
    await closing;
    expect(raw.peer.frames.map(({ type }) => type)).toEqual(['SYN_REPLY', 'DATA', 'DATA', 'GOAWAY']);
  });

  it('by close() comes once, however often it is called', async () => {
    await using pair = new SpdyPair();
    const [near, far] = await pair.open();
    const reading = readAll(far);
    near.write('last words');
    await Promise.all([pair.client.close(), pair.client.close()]);
    expect((await reading).toString()).toBe('last words');
    expect([await pair.client.closed, await pair.server.closed]).toEqual([
      { kind: 'clean', by: 'local' },
      { kind: 'clean', by: 'remote' },
    ]);
    expect(near.state).toBe('closed');
  });

  it('by destroy() fails the streams with its cause', async () => {
    await using pair = new SpdyPair();
    const [near] = await pair.open();
    const cause = new ExecPathError('ERR_ABORTED', 'enough');
    const closed = new Promise((resolve) => near.once('close', resolve));
    pair.client.destroy(cause);
    await closed;
    expect(near.errored).toBe(cause);
    expect(await pair.client.closed).toEqual({ kind: 'lost', error: cause });
    expect(await pair.server.closed).toMatchObject({ kind: 'lost' });
  });

  it('is a fact already when the socket is dead at the start', async () => {
    const [near] = duplexPair();
    near.destroy();
    await once(near, 'close');
    const session = new SpdySession(near, { role: 'client' });
    expect((await session.closed).kind).toBe('lost');
  });

  it('gotcha 88: by the idle limit counts DATA and, unlike upstream, not pings', async () => {
    await using raw = sessionAgainstRaw({ role: 'server', idleTimeoutMs: 150, onStream: (one) => void one.accept() });
    raw.peer.send(raw.peer.encode.synStream(1, {}));
    const pinging = setInterval(() => raw.peer.send(raw.peer.encode.ping(1)), 5);
    const goAway = raw.peer.frame('GOAWAY');
    await goAway;
    clearInterval(pinging);
    expect(raw.peer.frames.filter(({ type }) => type === 'PING').length).toBeGreaterThan(0);
    expect(raw.peer.frames.slice(-2).map(({ type }) => type)).toEqual(['RST_STREAM', 'GOAWAY']);
    await raw.peer.ended();
    raw.peer.socket.end();
    expect(await raw.session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_IDLE_TIMEOUT' } });
  });

  it('does not come by the idle limit while DATA passes', async () => {
    await using pair = new SpdyPair({ server: { idleTimeoutMs: 100 } });
    const [near, far] = await pair.open();
    far.pipe(far);
    let reason: CloseReason | undefined;
    void pair.server.closed.then((closed) => (reason = closed));
    const begin = performance.now();
    while (performance.now() - begin < 250) {
      near.write('.');
      await once(near, 'data');
    }
    expect(reason).toBeUndefined();
  });
});
