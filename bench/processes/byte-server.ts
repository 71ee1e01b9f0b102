import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { canReadInBulk, readInBulk } from '../../src/httpstream/bulk-socket.ts';
import type { KeyPair } from '../../src/pki/index.ts';
import { SOURCE_WRITE_BYTES, writeBytes } from '../byte-source.ts';
import { answerParent } from '../worker.ts';

export interface ByteServerConfig {
  /** Default: plain. */
  readonly tls?: KeyPair;
}

let server: Server | undefined;

// Behind the relay: answers an upgrade of /down?bytes=N with N bytes, and one of /up?bytes=N with one byte when N came.
answerParent({
  start: async ({ tls }: ByteServerConfig) => {
    const settings = { highWaterMark: SOURCE_WRITE_BYTES, noDelay: true };
    server =
      tls === undefined
        ? createHttpServer(settings)
        : createHttpsServer({ ...settings, cert: tls.certificate, key: tls.key, ALPNProtocols: ['http/1.1'] });
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => serve(request, socket, head));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  },
  port: () => (server?.address() as AddressInfo | undefined)?.port,
  close: () => server?.close(),
});

function serve(request: IncomingMessage, accepted: Duplex, head: Buffer): void {
  const url = new URL(request.url ?? '/', 'http://bench');
  const bytes = Number(url.searchParams.get('bytes'));
  accepted.on('error', () => {});
  accepted.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: bytes\r\n\r\n', () => {
    if (url.pathname === '/down') {
      accepted.resume();
      void writeBytes(accepted, bytes);
      return;
    }
    let left = bytes - head.length;
    const count = (length: number): void => {
      left -= length;
      if (left <= 0) socket.write('.');
    };
    const socket = canReadInBulk(accepted)
      ? readInBulk(accepted, {
          take: ({ bytes: { length }, release }) => {
            count(length);
            release();
          },
          wantsMore: () => true,
        })
      : accepted.on('data', (chunk: Buffer) => count(chunk.length));
    socket.on('error', () => {}).resume();
  });
}
