import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';

/** Servers on loopback that a test owns. `close` drops their connections and does whatever else was deferred. */
export class Loopback implements AsyncDisposable {
  readonly #cleanups: (() => unknown)[] = [];

  /** Runs at `close`, last in, first out. */
  defer(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  /** @param port 0 for one that the system chooses. @returns the port */
  async listen(server: Server, port = 0): Promise<number> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    this.defer(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return (server.address() as AddressInfo).port;
  }

  /** A TLS server that offers h2 and http/1.1. */
  async listenTls(options: TlsOptions, port = 0): Promise<TlsPeer> {
    const server = createServer({ ALPNProtocols: ['h2', 'http/1.1'], ...options });
    return {
      port: await this.listen(server, port),
      next: async () => {
        const [socket] = (await once(server, 'secureConnection')) as [TLSSocket];
        socket.on('error', () => {});
        return socket;
      },
    };
  }

  async close(): Promise<void> {
    for (const cleanup of this.#cleanups.splice(0).toReversed()) await cleanup();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export interface TlsPeer {
  readonly port: number;
  /** The server's side of the next connection. */
  next(): Promise<TLSSocket>;
}
