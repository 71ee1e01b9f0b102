import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { KeyPair } from '../../src/pki/index.ts';
import { memoryInUse } from '../memory-in-use.ts';
import { answerParent } from '../worker.ts';

export interface IdleServerConfig {
  /** Clients are asked for a certificate, as by our hops. Default: plain. */
  readonly tls?: KeyPair;
}

let server: Server | undefined;

// Holds connections and does nothing else: what a socket of Node costs before a hop does anything with it.
answerParent({
  start: async ({ tls }: IdleServerConfig) => {
    const hold = (socket: Socket): void => void socket.on('error', () => {}).on('data', (bytes) => socket.write(bytes));
    server =
      tls === undefined
        ? createTcpServer(hold)
        : createTlsServer({ cert: tls.certificate, key: tls.key, requestCert: true, rejectUnauthorized: false }, hold);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  },
  port: () => (server?.address() as AddressInfo | undefined)?.port,
  memory: memoryInUse,
  close: () => server?.close(),
});
