import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { RawWebSocket } from '../../../test/support/raw-websocket.ts';
import { readAll } from '../../../test/support/read-all.ts';
import { clientAgainstRaw, clientSession, serverAgainstRaw, tcpPair } from '../../../test/support/websocket-pair.ts';

const status = '{"metadata":{},"status":"Success"}';

describe('the loss of a connection', () => {
  describe('when the connection is lost', () => {
    it('delivers what had arrived, then the error', async () => {
      const { session, peer } = clientAgainstRaw();
      peer.send('\x01some output');
      peer.send(`\x03${status}`);
      peer.socket.end();
      const reason = await session.closed;
      expect(reason).toMatchObject({ kind: 'lost', error: { code: 'ERR_CONNECTION_LOST' } });
      for (const [number, text] of [
        [1, 'some output'],
        [3, status],
      ] as const) {
        const chunks: Buffer[] = [];
        session.channel(number).on('data', (chunk: Buffer) => chunks.push(chunk));
        const [error] = (await once(session.channel(number), 'error').catch((caught: Error) => [caught])) as [Error];
        expect(error).toMatchObject({ code: 'ERR_CONNECTION_LOST' });
        expect(Buffer.concat(chunks).toString()).toBe(text);
      }
    });

    it('fails a channel that holds nothing at once', async () => {
      const { session, peer } = clientAgainstRaw();
      const reading = readAll(session.channel(1));
      peer.socket.end();
      await expect(reading).rejects.toMatchObject({ code: 'ERR_CONNECTION_LOST' });
      await expect(pipeline(Readable.from(['x']), session.channel(0))).rejects.toThrow();
    });

    it('leaves an EOF that came before as it is', async () => {
      const { session, peer } = serverAgainstRaw();
      peer.send('\0all of it');
      peer.send(Buffer.of(255, 0));
      peer.send('', 0x89);
      await peer.nextOf(10);
      peer.socket.destroy();
      await session.closed;
      expect((await readAll(session.channel(0))).toString()).toBe('all of it');
    });

    it('stops a source whose channel still holds unread bytes: its writes are dropped, not kept waiting', async () => {
      const [near, far] = await tcpPair();
      const session = clientSession(near, { readable: [0], writable: [0] });
      const peer = new RawWebSocket(far, 'server');
      peer.send('\0unread');
      await once(near, 'data');
      far.pause();
      const written = new Promise<void>((resolve) => {
        session.channel(0).write(Buffer.alloc(32 * 1024 * 1024), () => resolve());
      });
      far.destroy();
      await session.closed;
      await written;
      const chunks: Buffer[] = [];
      session.channel(0).on('data', (chunk: Buffer) => chunks.push(chunk));
      await new Promise((resolve) => session.channel(0).on('close', resolve));
      expect(Buffer.concat(chunks).toString()).toBe('unread');
      expect(session.channel(0).errored).toMatchObject({ code: 'ERR_CONNECTION_LOST' });
    });
  });

  describe('as client', () => {
    it.each([
      [undefined, '1005 (no status)'],
      [1001, '1001 (going away)'],
      [1011, '1011 (internal server error): "etcd is gone"'],
    ])('counts a Close with %j as lost', async (code, quoted) => {
      const { session, peer } = clientAgainstRaw();
      peer.sendClose(code, code === 1011 ? 'etcd is gone' : '');
      const reason = await session.closed;
      expect(reason).toMatchObject({
        kind: 'lost',
        error: { code: 'ERR_CONNECTION_LOST', message: expect.stringContaining(quoted) },
      });
    });

    it('counts a TCP reset as lost', async () => {
      const [near, far] = await tcpPair();
      const session = clientSession(near);
      far.resetAndDestroy();
      expect(await session.closed).toMatchObject({
        kind: 'lost',
        error: { code: 'ERR_CONNECTION_LOST', message: expect.stringContaining('ECONNRESET') },
      });
    });

    it('refuses a text message on a binary protocol with 1002', async () => {
      const { session, peer } = clientAgainstRaw();
      peer.send('\x01text', 0x81);
      expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_CHANNEL' } });
      const close = await peer.nextOf(8);
      expect(close.payload.readUInt16BE(0)).toBe(1002);
    });
  });
});
