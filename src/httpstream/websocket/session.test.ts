import { once } from 'node:events';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../../test/support/duplex-pair.ts';
import { RawWebSocket, rawFrame } from '../../../test/support/raw-websocket.ts';
import { readAll } from '../../../test/support/read-all.ts';
import {
  clientAgainstRaw,
  SessionPair,
  serverAgainstRaw,
  serverSession,
  tcpPair,
} from '../../../test/support/websocket-pair.ts';
import { subprotocols } from '../../common/subprotocols.ts';

const status = '{"metadata":{},"status":"Success"}';

describe('ChannelSession', () => {
  it('carries every channel both ways at once, over TCP', async () => {
    await using pair = new SessionPair({ sockets: await tcpPair() });
    const megabyte = Buffer.alloc(1024 * 1024, 'podwire');
    const stdin = readAll(pair.server.channel(0));
    const outputs = [1, 2].map((number) => readAll(pair.client.channel(number)));
    const statusText = readAll(pair.client.channel(3));
    pair.client.channel(0).end(megabyte);
    for (const number of [1, 2]) pair.server.channel(number).end(megabyte);
    expect((await stdin).equals(megabyte)).toBe(true);
    pair.server.channel(3).end(status);
    await pair.server.close();
    for (const output of outputs) expect((await output).equals(megabyte)).toBe(true);
    expect((await statusText).toString()).toBe(status);
    expect(await pair.client.closed).toEqual({ kind: 'clean', by: 'remote' });
    expect(await pair.server.closed).toEqual({ kind: 'clean', by: 'local' });
  });

  it('lets the client close first', async () => {
    await using pair = new SessionPair();
    const stdin = readAll(pair.server.channel(0));
    pair.client.channel(0).write('last words');
    await pair.client.close();
    expect((await stdin).toString()).toBe('last words');
    expect(await pair.server.closed).toEqual({ kind: 'clean', by: 'remote' });
    expect(await pair.client.closed).toEqual({ kind: 'clean', by: 'local' });
  });

  it('flushes what waits behind a slow peer before it says goodbye', async () => {
    await using pair = new SessionPair({ sockets: await tcpPair() });
    const output = Buffer.alloc(8 * 1024 * 1024, 'x');
    pair.server.channel(1).write(output);
    const closed = pair.server.close();
    expect((await readAll(pair.client.channel(1))).length).toBe(output.length);
    await closed;
    expect(await pair.server.closed).toEqual({ kind: 'clean', by: 'local' });
  });

  it('may be closed and destroyed twice, in any order', async () => {
    await using pair = new SessionPair();
    await Promise.all([pair.client.close(), pair.client.close()]);
    pair.client.destroy();
    pair.client.destroy();
    expect(await pair.client.closed).toEqual({ kind: 'clean', by: 'local' });
  });

  it('throws for a channel that it was made without', async () => {
    await using pair = new SessionPair();
    expect(() => pair.client.channel(7)).toThrow(/has the channels 1, 2, 3, 0, 4, not 7/);
    expect(pair.client.channel(1)).toBe(pair.client.channel(1));
  });

  describe('half-close', () => {
    it('v5: end() of a client is EOF at the server, and the other channels live on', async () => {
      await using pair = new SessionPair();
      pair.client.channel(0).end('all of it');
      expect((await readAll(pair.server.channel(0))).toString()).toBe('all of it');
      pair.server.channel(1).write('still here');
      const [chunk] = (await once(pair.client.channel(1), 'data')) as [Buffer];
      expect(chunk.toString()).toBe('still here');
    });

    it('v5: end() of a client is [255, channel], once', async () => {
      const { session, peer } = clientAgainstRaw();
      session.channel(0).end('hi');
      await once(session.channel(0), 'close');
      session.channel(0).destroy();
      session.channel(4).end();
      expect((await peer.next()).payload).toEqual(Buffer.from('\0hi'));
      expect((await peer.next()).payload).toEqual(Buffer.of(255, 0));
      expect((await peer.next()).payload).toEqual(Buffer.of(255, 4));
      session.destroy();
    });

    it('v5: destroy() of a channel that is not ended is [255, channel] too', async () => {
      const { session, peer } = clientAgainstRaw();
      session.channel(0).destroy();
      expect((await peer.next()).payload).toEqual(Buffer.of(255, 0));
      session.destroy();
    });

    it.each([subprotocols.v4, subprotocols.v1, ''])('%j: end() says nothing on the wire', async (protocol) => {
      const { session, peer } = clientAgainstRaw({ protocol });
      session.channel(0).end('hi');
      await once(session.channel(0), 'finish');
      session.channel(4).write('{}');
      expect((await peer.next()).payload).toEqual(Buffer.from('\0hi'));
      expect((await peer.next()).payload).toEqual(Buffer.from('\x04{}'));
      session.destroy();
    });

    it('v5: end() of a server says nothing on the wire', async () => {
      const { session, peer } = serverAgainstRaw();
      session.channel(1).end('out');
      await once(session.channel(1), 'finish');
      session.channel(3).write(status);
      expect((await peer.next()).payload).toEqual(Buffer.from('\x01out'));
      expect((await peer.next()).payload).toEqual(Buffer.from(`\x03${status}`));
      session.destroy();
    });
  });

  it('goes on with the other channels when one is destroyed, and discards what comes for it', async () => {
    await using pair = new SessionPair({ client: { readAheadBytes: 0 } });
    pair.client.channel(2).destroy(new Error('nobody wants stderr'));
    pair.server.channel(2).write(Buffer.alloc(512 * 1024));
    pair.server.channel(1).end('out');
    const output = readAll(pair.client.channel(1));
    await pair.server.close();
    expect((await output).toString()).toBe('out');
  });

  it('as server takes 1001 and an empty Close for a goodbye and answers them', async () => {
    for (const [code, answered] of [
      [1000, 1000],
      [1001, 1001],
      [undefined, 1000],
    ] as const) {
      const { session, peer } = serverAgainstRaw();
      const stdin = readAll(session.channel(0));
      peer.sendClose(code);
      expect(await session.closed).toEqual({ kind: 'clean', by: 'remote' });
      expect((await peer.next()).payload.readUInt16BE(0)).toBe(answered);
      expect(await stdin).toHaveLength(0);
      await peer.ended;
    }
  });

  it('says why when it is destroyed', async () => {
    const { session, peer } = clientAgainstRaw();
    session.destroy(new Error('the user pressed ctrl-C'));
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_ABORTED' } });
    await peer.ended;
    const { payload } = peer.frames.at(-1)!;
    expect(payload.readUInt16BE(0)).toBe(1001);
    expect(payload.subarray(2).toString()).toContain('the user pressed ctrl-C');
  });

  it('gives up a close when the peer neither answers nor shows life', async () => {
    const [near, far] = duplexPair();
    const session = serverSession(near, { closeLingerMs: 20 });
    const peer = new RawWebSocket(far, 'client');
    await session.close();
    expect(near.destroyed).toBe(true);
    // The goodbye was handed over: all that can be seen from here.
    expect(await session.closed).toEqual({ kind: 'clean', by: 'local' });
    expect((await peer.next()).payload).toEqual(Buffer.of(0x03, 0xe8));
  });

  it('counts a close as lost when the peer did not even take what came before it', async () => {
    const [near] = duplexPair();
    const session = serverSession(near, { closeLingerMs: 20 });
    session.channel(1).write(Buffer.alloc(1024 * 1024));
    await session.close();
    expect(await session.closed).toMatchObject({
      kind: 'lost',
      error: { code: 'ERR_CONNECTION_LOST', message: expect.stringContaining('did not take') },
    });
  });

  it('ends with 1009 when a client sends a message beyond the limit', async () => {
    const { session, peer } = serverAgainstRaw();
    peer.socket.write(Buffer.from('82ff000000000200000200000000', 'hex'));
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_MESSAGE_TOO_LONG' } });
    expect((await peer.nextOf(8)).payload.readUInt16BE(0)).toBe(1009);
  });

  it('does not keep the socket of a peer that broke a rule and goes on sending', async () => {
    const [near, far] = await tcpPair();
    const session = serverSession(far);
    near.on('error', () => {});
    near.write(rawFrame(0x83, '', Buffer.alloc(4)));
    const flood = setInterval(() => near.write(Buffer.alloc(1000)), 50);
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_WEBSOCKET_FRAME' } });
    await new Promise((resolve) => far.on('close', resolve));
    clearInterval(flood);
    near.destroy();
  });

  it('ends in one stated way, or lives on, whatever frames a client sends', async () => {
    const frame = fc.record({
      first: fc.oneof(fc.constantFrom(0x82, 0x02, 0x80, 0x81, 0x89, 0x88), fc.nat({ max: 255 })),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 6 }),
        fc.tuple(fc.constantFrom(0, 4, 255), fc.nat({ max: 6 })).map((bytes) => Uint8Array.from(bytes)),
      ),
    });
    const codes = ['ERR_WEBSOCKET_FRAME', 'ERR_CHANNEL', 'ERR_CONNECTION_LOST'];
    await fc.assert(
      fc.asyncProperty(
        fc.array(frame, { maxLength: 8 }),
        fc.constantFrom('v1', 'v4Base64', 'v5'),
        async (frames, name) => {
          const { session, peer } = serverAgainstRaw({ protocol: subprotocols[name] });
          for (const { first, payload } of frames) peer.send(payload, first);
          peer.sendClose(1000);
          const reason = await session.closed;
          if (reason.kind === 'lost') expect(codes).toContain(reason.error.code);
          session.destroy();
        },
      ),
      { numRuns: 300 },
    );
  });
});
