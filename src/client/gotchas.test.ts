import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { ExecServer } from '../../test/support/exec-server.ts';
import { RawWebSocket } from '../../test/support/raw-websocket.ts';
import { readAll } from '../../test/support/read-all.ts';
import { deferred } from '../common/deferred.ts';
import { exited } from '../common/outcome.ts';
import { acceptSpdy, type SpdySession, type SpdyStream } from '../httpstream/index.ts';
import { type ExecOptions, type ExecSession, exec } from './index.ts';

let server: ExecServer;
afterEach(() => server[Symbol.asyncDispose]());

const options = (): ExecOptions => ({ pod: 'web', container: 'main', command: ['true'], api: server.api() });

const SUCCESS = '{"metadata":{},"status":"Success"}';
const EXIT_3 =
  '{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}';

interface SpdyPeer {
  readonly session: SpdySession;
  readonly error: SpdyStream;
  readonly stdout: SpdyStream;
}

/** A server over SPDY whose order of writing is the test's: stdout and error, no stderr. */
async function spdyPeer(): Promise<{ client: ExecSession; peer: SpdyPeer }> {
  const ready = deferred<SpdyPeer>();
  server = await ExecServer.start({
    onUpgrade: (request, socket, head) => {
      const streams = new Map<string, SpdyStream>();
      const accepted = acceptSpdy(request, socket, head, ['v4.channel.k8s.io'], {
        onStream: (incoming) => {
          const stream = incoming.accept();
          stream.on('error', () => {}).resume();
          streams.set(incoming.headers.get('streamtype') ?? '', stream);
          const [error, stdout] = [streams.get('error'), streams.get('stdout')];
          if (accepted && error && stdout) ready.resolve({ session: accepted.session, error, stdout });
        },
      });
      return true;
    },
  });
  const client = await exec({ ...options(), transport: 'spdy', stderr: false });
  return { client, peer: await ready.promise };
}

describe('over SPDY', () => {
  it('gotcha 24: takes streams that end by RST_STREAM for ended', async () => {
    const { client, peer } = await spdyPeer();
    peer.stdout.end('output');
    await new Promise((resolve) => peer.error.write(EXIT_3, resolve));
    peer.error.destroy();
    expect((await readAll(client.stdout!)).toString()).toBe('output');
    expect(await client.completed).toEqual(exited(3));
  });

  it('gotcha 25: needs nothing behind a GOAWAY', async () => {
    const { client, peer } = await spdyPeer();
    peer.stdout.end('output');
    peer.error.end(EXIT_3);
    await peer.session.close();
    expect((await readAll(client.stdout!)).toString()).toBe('output');
    expect(await client.completed).toEqual(exited(3));
  });

  it('gotcha 26: outputs all that comes behind the Status', async () => {
    const { client, peer } = await spdyPeer();
    const bytes = randomBytes(1024 * 1024);
    peer.error.end(SUCCESS);
    peer.stdout.end(bytes);
    expect((await readAll(client.stdout!)).equals(bytes)).toBe(true);
    expect(await client.completed).toEqual(exited(0));
  });

  it('gotcha 26: does not call it success when the output behind the Status was cut', async () => {
    const { client, peer } = await spdyPeer();
    client.stdout!.resume();
    await new Promise<void>((resolve) => peer.error.end(SUCCESS, resolve));
    await new Promise((resolve) => peer.stdout.write('half', resolve));
    peer.session.destroy();
    expect(await client.completed).toMatchObject({ kind: 'failed', code: 'ERR_CONNECTION_LOST' });
  });

  it('gotcha 27: waits for a Status that comes late', async () => {
    const { client, peer } = await spdyPeer();
    peer.stdout.end('output');
    expect((await readAll(client.stdout!)).toString()).toBe('output');
    expect(await Promise.race([client.completed, delay(300, 'waiting')])).toBe('waiting');
    peer.error.end(EXIT_3);
    expect(await client.completed).toEqual(exited(3));
  });

  it('gotcha 28: does not call a session without a Status a success, however clean its end', async () => {
    const { client, peer } = await spdyPeer();
    client.stdout!.resume();
    peer.stdout.end();
    peer.error.end();
    await peer.session.close();
    expect(await client.completed).toMatchObject({ kind: 'failed', code: 'ERR_NO_STATUS' });
  });

  it('gotcha 29: gets every byte though it reads slowly and pings while the server closes', async () => {
    const bytes = randomBytes(4 * 1024 * 1024);
    server = await ExecServer.start({
      run: async ({ stdout }) => {
        stdout!.write(bytes);
        return exited(0);
      },
    });
    const client = await exec({ ...options(), transport: 'spdy', pingIntervalMs: 5 });
    client.stderr!.resume();
    const sum = createHash('sha256');
    client.stdout!.on('data', (chunk: Buffer) => {
      sum.update(chunk);
      client.stdout!.pause();
      setTimeout(() => client.stdout!.resume(), 5);
    });
    expect(await client.completed).toEqual(exited(0));
    expect(sum.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  });
});

/** A server over WebSocket that writes single frames. */
async function webSocketPeer(more: Partial<ExecOptions> = {}): Promise<{ client: ExecSession; peer: RawWebSocket }> {
  const ready = deferred<RawWebSocket>();
  server = await ExecServer.start({
    onUpgrade: (request, socket) => {
      answer(request, socket);
      ready.resolve(new RawWebSocket(socket, 'server'));
      return true;
    },
  });
  const client = await exec({ ...options(), transport: 'websocket', stderr: false, ...more });
  return { client, peer: await ready.promise };
}

function answer(request: IncomingMessage, socket: Duplex): void {
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash('sha1').update(key).digest('base64');
  const lines = [`Sec-WebSocket-Accept: ${accept}`, 'Sec-WebSocket-Protocol: v5.channel.k8s.io'];
  socket.write(['HTTP/1.1 101 Ok', 'Upgrade: websocket', 'Connection: Upgrade', ...lines, '', ''].join('\r\n'));
}

describe('over WebSocket', () => {
  it('gotcha 46: takes the first, empty message neither for output nor for an end', async () => {
    const { client, peer } = await webSocketPeer();
    const output = readAll(client.stdout!);
    peer.send('\x01');
    peer.send('\x01output');
    peer.send(`\x03${EXIT_3}`);
    peer.sendClose(1000);
    expect((await output).toString()).toBe('output');
    expect(await client.completed).toEqual(exited(3));
  });

  it('gotcha 47: sends stdin in unfragmented frames of at most 32 KiB and the channel', async () => {
    const { client, peer } = await webSocketPeer({ stdin: true });
    client.stdout!.resume();
    const bytes = randomBytes(1024 * 1024);
    client.stdin!.end(bytes);
    const got: Buffer[] = [];
    for (let frame = await peer.nextOf(2); frame.payload[0] !== 255; frame = await peer.nextOf(2)) {
      expect([frame.fin, frame.masked, frame.payload[0]]).toEqual([true, true, 0]);
      expect(frame.payload.length).toBeLessThanOrEqual(32 * 1024 + 1);
      got.push(frame.payload.subarray(1));
    }
    expect(Buffer.concat(got).equals(bytes)).toBe(true);
    peer.send(`\x03${SUCCESS}`);
    peer.sendClose(1000);
    expect(await client.completed).toEqual(exited(0));
  });

  it.each([
    ['an empty Close', (peer: RawWebSocket) => peer.sendClose()],
    ['a Close of 1001', (peer: RawWebSocket) => peer.sendClose(1001)],
    ['a TCP FIN', (peer: RawWebSocket) => peer.socket.end()],
    ['a Close of 1000', (peer: RawWebSocket) => peer.sendClose(1000)],
  ])('gotcha 28: %s without a Status is no success', async (_name, end) => {
    const { client, peer } = await webSocketPeer();
    client.stdout!.resume();
    peer.send('\x01output');
    end(peer);
    const outcome = await client.completed;
    expect(outcome.kind).toBe('failed');
    peer.socket.destroy();
    await client.closed;
  });

  it('ignores output on a channel that it did not ask for', async () => {
    const { client, peer } = await webSocketPeer();
    const output = readAll(client.stdout!);
    peer.send('\x02to stderr');
    peer.send('\x01to stdout');
    peer.send(`\x03${SUCCESS}`);
    peer.sendClose(1000);
    expect((await output).toString()).toBe('to stdout');
    expect(await client.completed).toEqual(exited(0));
    await once(peer.socket, 'close');
  });
});
