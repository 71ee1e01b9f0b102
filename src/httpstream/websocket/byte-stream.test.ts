import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../../test/support/duplex-pair.ts';
import { RawWebSocket } from '../../../test/support/raw-websocket.ts';
import { readAll } from '../../../test/support/read-all.ts';
import { tcpPair } from '../../../test/support/websocket-pair.ts';
import { subprotocols } from '../../common/subprotocols.ts';
import { STREAM_BUFFER_BYTES } from '../connection.ts';
import { WebSocketByteStream } from './byte-stream.ts';

const protocol = subprotocols.portForwardTunnel;
const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function tunnelPair([near, far]: readonly [Duplex, Duplex]): {
  client: WebSocketByteStream;
  server: WebSocketByteStream;
} {
  return {
    client: new WebSocketByteStream(near, { role: 'client', protocol }),
    server: new WebSocketByteStream(far, { role: 'server', protocol }),
  };
}

/** A server's tunnel against a client that a test plays. */
function againstRaw(): { stream: WebSocketByteStream; peer: RawWebSocket } {
  const [near, far] = duplexPair();
  return { stream: new WebSocketByteStream(far, { role: 'server', protocol }), peer: new RawWebSocket(near, 'client') };
}

describe('WebSocketByteStream', () => {
  it('carries bytes both ways at once and ends cleanly', async () => {
    const { client, server } = tunnelPair(await tcpPair());
    const bytes = randomBytes(4 * 1024 * 1024);
    server.pipe(server);
    const echo: Buffer[] = [];
    const all = new Promise<void>((resolve) => {
      let count = 0;
      client.on('data', (chunk: Buffer) => {
        echo.push(chunk);
        count += chunk.length;
        if (count === bytes.length) resolve();
      });
    });
    client.write(bytes);
    await all;
    client.end();
    await Promise.all([once(client, 'close'), once(server, 'close')]);
    expect(hash(Buffer.concat(echo))).toBe(hash(bytes));
    expect(await client.ended).toEqual({ kind: 'clean', by: 'local' });
    expect(await server.ended).toEqual({ kind: 'clean', by: 'remote' });
  });

  it('gotcha 85: bytes are the same however they are cut into messages, empty ones and fragments', async () => {
    const cut = fc.record({ bytes: fc.uint8Array({ maxLength: 40 }), more: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { maxLength: 20 }), async (cuts) => {
        const { stream, peer } = againstRaw();
        const reading = readAll(stream);
        let open = false;
        for (const { bytes, more } of cuts) {
          peer.send(bytes, (more ? 0 : 0x80) | (open ? 0 : 2));
          open = more;
        }
        if (open) peer.send('', 0x80);
        peer.sendClose(1000);
        expect(await reading).toEqual(Buffer.concat(cuts.map(({ bytes }) => bytes)));
      }),
      { numRuns: 30 },
    );
  });

  it('sends binary messages of at most 32 KiB, none empty, then Close 1000', async () => {
    const { stream, peer } = againstRaw();
    stream.write('');
    stream.write(Buffer.alloc(100_000));
    stream.end();
    await peer.nextOf(8);
    expect(peer.frames.map(({ opcode, payload }) => [opcode, payload.length])).toEqual([
      [2, 32_768],
      [2, 32_768],
      [2, 32_768],
      [2, 1696],
      [8, 2],
    ]);
    expect(peer.frames.at(-1)!.payload).toEqual(Buffer.of(0x03, 0xe8));
    stream.destroy();
  });

  it('still delivers what the peer sent before it answered our Close', async () => {
    const { stream, peer } = againstRaw();
    const reading = readAll(stream);
    stream.end();
    await peer.nextOf(8);
    peer.send('last words');
    peer.sendClose(1000);
    expect((await reading).toString()).toBe('last words');
    expect(await stream.ended).toEqual({ kind: 'clean', by: 'local' });
  });

  it.each([
    ['a text message', (peer: RawWebSocket) => peer.send('text', 0x81), 'ERR_CHANNEL'],
    ['a Close of 1011', (peer: RawWebSocket) => peer.sendClose(1011), 'ERR_CONNECTION_LOST'],
    ['EOF', (peer: RawWebSocket) => peer.socket.end(), 'ERR_CONNECTION_LOST'],
    ['a broken frame', (peer: RawWebSocket) => peer.send('', 0x83), 'ERR_WEBSOCKET_FRAME'],
  ])('fails at %s, behind what had arrived', async (_what, end, code) => {
    const { stream, peer } = againstRaw();
    peer.send('arrived');
    end(peer);
    await stream.ended;
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => stream.on('close', resolve));
    expect(Buffer.concat(chunks).toString()).toBe('arrived');
    expect(stream.errored).toMatchObject({ code });
  });

  it('holds no more than its bound for a reader that stalls', async () => {
    const { client, server } = tunnelPair(duplexPair());
    let taken = 0;
    const write = (): void => {
      client.write(Buffer.alloc(8192), () => {
        taken += 8192;
        if (taken < 8 * 1024 * 1024) write();
        else client.end();
      });
    };
    write();
    let seen = -1;
    while (seen !== taken) {
      seen = taken;
      for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    }
    expect(server.heldBytes).toBeGreaterThan(STREAM_BUFFER_BYTES);
    expect(server.heldBytes).toBeLessThan(STREAM_BUFFER_BYTES + 32 * 1024);
    expect(taken).toBeLessThan(8 * 1024 * 1024);
    expect((await readAll(server)).length).toBe(8 * 1024 * 1024);
  });

  it('destroys the socket when it is destroyed', async () => {
    const [near, far] = duplexPair();
    const { client } = tunnelPair([near, far]);
    client.destroy(new Error('enough'));
    expect(near.destroyed).toBe(true);
    expect(await client.ended).toMatchObject({ kind: 'lost', error: { code: 'ERR_ABORTED' } });
  });
});
