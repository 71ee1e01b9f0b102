import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { subprotocols } from '../../src/common/subprotocols.ts';
import { ChannelSession, type ChannelSessionOptions } from '../../src/httpstream/websocket/session.ts';
import { duplexPair } from './duplex-pair.ts';
import { RawWebSocket } from './raw-websocket.ts';

type SideOptions = Partial<Omit<ChannelSessionOptions, 'role' | 'protocol'>>;

export interface SessionPairOptions {
  /** Default v5. */
  readonly protocol?: string;
  readonly client?: SideOptions;
  readonly server?: SideOptions;
  /** Two connected sockets. Default: a pair in memory. */
  readonly sockets?: readonly [client: Duplex, server: Duplex];
}

/** Two sessions on one connection, without a handshake, with the channels of exec; both are destroyed at the end. */
export class SessionPair implements AsyncDisposable {
  readonly client: ChannelSession;
  readonly server: ChannelSession;

  constructor(options: SessionPairOptions = {}) {
    const [near, far] = options.sockets ?? duplexPair();
    const { protocol = subprotocols.v5 } = options;
    const output = [1, 2, 3];
    const input = [0, 4];
    this.client = clientSession(near, { protocol, readable: output, writable: input, ...options.client });
    this.server = new ChannelSession(far, {
      role: 'server',
      protocol,
      readable: input,
      writable: output,
      ...options.server,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.destroy();
    this.server.destroy();
    await Promise.all([this.client.closed, this.server.closed]);
  }
}

/** A client's session on a connected socket, with the channels of exec. */
export function clientSession(
  socket: Duplex,
  options: SideOptions & { readonly protocol?: string } = {},
): ChannelSession {
  const { protocol = subprotocols.v5, ...rest } = options;
  return new ChannelSession(socket, { role: 'client', protocol, readable: [1, 2, 3], writable: [0, 4], ...rest });
}

/** A server's session on a connected socket, with the channels of exec. */
export function serverSession(
  socket: Duplex,
  options: SideOptions & { readonly protocol?: string } = {},
): ChannelSession {
  const { protocol = subprotocols.v5, ...rest } = options;
  return new ChannelSession(socket, { role: 'server', protocol, readable: [0, 4], writable: [1, 2, 3], ...rest });
}

/** A server's session against a client that a test plays, frame by frame. */
export function serverAgainstRaw(options: Parameters<typeof serverSession>[1] = {}): {
  session: ChannelSession;
  peer: RawWebSocket;
} {
  const [near, far] = duplexPair();
  return { session: serverSession(far, options), peer: new RawWebSocket(near, 'client') };
}

/** A client's session against a server that a test plays, frame by frame. */
export function clientAgainstRaw(options: Parameters<typeof clientSession>[1] = {}): {
  session: ChannelSession;
  peer: RawWebSocket;
} {
  const [near, far] = duplexPair();
  return { session: clientSession(near, options), peer: new RawWebSocket(far, 'server') };
}

/** Two ends of one TCP connection on loopback; the caller owns them. */
export async function tcpPair(): Promise<[client: Socket, server: Socket]> {
  const listener = createTcpServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const accepted = once(listener, 'connection') as Promise<[Socket]>;
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [server] = await accepted;
  listener.close();
  return [client, server];
}

/** An HTTP server on loopback that hands each upgrade to a function. */
export class UpgradeServer implements AsyncDisposable {
  readonly port: number;
  readonly #close: () => Promise<void>;

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port;
    this.#close = close;
  }

  static async listen(
    onUpgrade: (request: IncomingMessage, socket: Socket, head: Buffer) => void,
  ): Promise<UpgradeServer> {
    const server = createServer();
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.on('upgrade', (request, socket, head) => onUpgrade(request, socket as Socket, head));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new UpgradeServer((server.address() as AddressInfo).port, async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server, 'close');
    });
  }

  /** A connected socket; the caller owns it. */
  async connect(): Promise<Socket> {
    const socket = connect({ port: this.port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return socket;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}
