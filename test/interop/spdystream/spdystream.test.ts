import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloseReason, IncomingStream } from '../../../src/httpstream/index.ts';
import { SpdySession } from '../../../src/httpstream/index.ts';
import { dictionary } from '../../../src/httpstream/spdy/dictionary.ts';
import { BackgroundChild, mustRun } from '../../support/child.ts';
import { findProgram } from '../../support/peer.ts';
import { readAll } from '../../support/read-all.ts';

const go = findProgram('go');
const MIB = 1024 * 1024;

describe.skipIf(go === undefined)(`github.com/moby/spdystream${go === undefined ? ' (skipped: no go)' : ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-spdystream-'));
  const peer = join(folder, 'peer');
  let server: BackgroundChild;
  let port: number;

  beforeAll(async () => {
    await mustRun(go as string, ['build', '-o', peer, '.'], { cwd: import.meta.dirname, deadlineMs: 110_000 });
    server = new BackgroundChild(peer, ['serve']);
    port = Number((await server.waitForLog(/listening (\d+)/))[1]);
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  async function toServer(): Promise<SpdySession> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    await once(socket, 'connect');
    return new SpdySession(socket, { role: 'client' });
  }

  describe('as a server', () => {
    it('gotcha 8: answers 100 streams that are opened at once, each its own bytes', async () => {
      await using session = await toServer();
      const answers = await Promise.all(
        Array.from({ length: 100 }, async (_, number) => {
          const stream = await session.openStream({ mode: 'echo', number: String(number) });
          stream.end(`stream ${number};`.repeat(1000));
          return (await readAll(stream)).toString() === `stream ${number};`.repeat(1000);
        }),
      );
      expect(answers).toEqual(Array.from({ length: 100 }, () => true));
      expect(session.streamCount).toBe(0);
    });

    it('gotcha 14: echoes 64 MiB unchanged without any window', async () => {
      await using session = await toServer();
      const stream = await session.openStream({ mode: 'echo' });
      const [sent, heard] = [createHash('sha256'), createHash('sha256')];
      let bytes = 0;
      const reading = (async () => {
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          heard.update(chunk);
        });
        await once(stream, 'end');
      })();
      const block = randomBytes(MIB);
      for (let count = 0; count < 64; count += 1) {
        block.writeUInt32BE(count);
        const own = Buffer.from(block);
        sent.update(own);
        if (!stream.write(own)) await once(stream, 'drain');
      }
      stream.end();
      await reading;
      expect(bytes).toBe(64 * MIB);
      expect(heard.digest('hex')).toBe(sent.digest('hex'));
    });

    it('gotcha 11: reads a header of 900 KiB', async () => {
      await using session = await toServer();
      const stream = await session.openStream({ mode: 'headers', value: 'v'.repeat(900 * 1024) });
      expect((await readAll(stream)).toString()).toBe(String(900 * 1024));
    });

    it('survives a header block that ends exactly where its window is full', async () => {
      await using session = await toServer();
      // The block is 4 + (4 + 4 + 4 + 7) + (4 + 5 + 4 + n) bytes long.
      const value = 'v'.repeat(32_768 - dictionary.length - 36);
      const first = await session.openStream({ mode: 'headers', value });
      expect((await readAll(first)).toString()).toBe(String(value.length));
      const second = await session.openStream({ mode: 'headers', value: 'short' });
      expect((await readAll(second)).toString()).toBe('5');
    });

    it('keeps the answering half open after our FIN', async () => {
      await using session = await toServer();
      const stream = await session.openStream({ mode: 'count' });
      stream.end('y'.repeat(12_345));
      expect((await readAll(stream)).toString()).toBe('12345');
      expect(stream.resetByPeer).toBe(false);
    });

    it('keeps our half open after its FIN', async () => {
      await using session = await toServer();
      const stream = await session.openStream({ mode: 'hang-up-first' });
      expect((await readAll(stream)).toString()).toBe('bye');
      stream.end('z'.repeat(54_321));
      await server.waitForLog(/counted 54321/);
    });

    it('gotcha 24: ends a stream by RST_STREAM after its data', async () => {
      await using session = await toServer();
      const stream = await session.openStream({ mode: 'reset' });
      expect((await readAll(stream)).toString()).toBe('before the reset');
      expect(stream.resetByPeer).toBe(true);
    });

    it('gotcha 23: rejects a stream and leaves the others alone', async () => {
      await using session = await toServer();
      await expect(session.openStream({ mode: 'reject' })).rejects.toMatchObject({ code: 'ERR_STREAM_REFUSED' });
      const stream = await session.openStream({ mode: 'count' });
      stream.end('abc');
      expect((await readAll(stream)).toString()).toBe('3');
    });

    it('that never answers a stream meets our deadline', async () => {
      const socket = connect({ host: '127.0.0.1', port });
      const session = new SpdySession(socket, { role: 'client', streamTimeoutMs: 100 });
      await expect(session.openStream({ mode: 'silent' })).rejects.toMatchObject({ code: 'ERR_STREAM_TIMEOUT' });
      // It does not close either while it has a stream that it has not answered.
      session.destroy();
      await session.closed;
    });

    it('gotcha 19: answers our pings and we answer its own', async () => {
      await using session = await toServer();
      expect(await session.ping()).toBeGreaterThan(0);
      const stream = await session.openStream({ mode: 'ping' });
      expect((await readAll(stream)).toString()).toBe('true');
    });

    it('gotcha 25: says GOAWAY after all its data', async () => {
      await using session = await toServer();
      const stream = await session.openStream({ mode: 'go-away' });
      expect((await readAll(stream)).length).toBe(100_000);
      expect(await session.closed).toEqual({ kind: 'clean', by: 'remote' });
    });
  });

  describe('as a client', () => {
    /** Serves one connection and runs one scenario of the Go client against it. */
    async function run(scenario: string): Promise<{ result: unknown; closed: CloseReason; streamCount: number }> {
      const listener = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
      await once(listener, 'listening');
      const accepted = once(listener, 'connection') as Promise<[Socket]>;
      const running = mustRun(peer, ['dial', String((listener.address() as AddressInfo).port), scenario]);
      const [socket] = await accepted;
      listener.close();
      const session = new SpdySession(socket, {
        role: 'server',
        onStream: (incoming) => void handle(incoming, session),
      });
      const result: unknown = (await running) === '' ? undefined : JSON.parse(await running);
      return { result, closed: await session.closed, streamCount: session.streamCount };
    }

    async function handle(incoming: IncomingStream, session: SpdySession): Promise<void> {
      const mode = incoming.headers.get('mode');
      if (mode === 'reject') {
        incoming.reject();
        return;
      }
      const stream = incoming.accept();
      switch (mode) {
        case 'echo':
          await pipeline(stream, stream).catch(() => undefined);
          return;
        case 'count':
          stream.end(String((await readAll(stream)).length));
          return;
        case 'reset':
          stream.write('before the reset', () => stream.destroy());
          return;
        case 'go-away':
          stream.write(Buffer.alloc(100_000));
          await session.close();
          return;
        default:
          stream.destroy();
      }
    }

    it('gotcha 8: gets 100 streams at once, each its own bytes', async () => {
      expect((await run('hundred')).result).toBe(100);
    });

    it('gotcha 14: gets 64 MiB back unchanged without any window', async () => {
      const { result } = await run('echo-64m');
      expect(result).toMatchObject({ bytes: 64 * MIB });
      const { sent, heard } = result as { sent: string; heard: string };
      expect(heard).toBe(sent);
    });

    it('gets an answer after its FIN', async () => {
      expect((await run('half-close')).result).toBe('12345');
    });

    it('reads all data before our RST_STREAM', async () => {
      expect((await run('reset')).result).toBe('before the reset');
    });

    it('gotcha 23: sees a rejected stream, and the connection lives on', async () => {
      expect((await run('reject')).result).toEqual([expect.stringMatching(/reset/i), 'still alive']);
    });

    it('gotcha 19: gets its pings echoed', async () => {
      expect((await run('ping')).result).toBe(true);
    });

    it('gotcha 25: reads all data before our GOAWAY and closes by itself', async () => {
      const { result, closed } = await run('go-away');
      expect(result).toBe(100_000);
      expect(closed).toEqual({ kind: 'clean', by: 'local' });
    });

    it('says GOAWAY when it leaves', async () => {
      expect(await run('leave')).toEqual({ result: 'left', closed: { kind: 'clean', by: 'remote' }, streamCount: 0 });
    });

    it('gotcha 78: is lost, not gone in peace, when its process ends', async () => {
      const { closed, streamCount } = await run('vanish');
      expect(closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_CONNECTION_LOST' } });
      expect(streamCount).toBe(0);
    });
  });
});
