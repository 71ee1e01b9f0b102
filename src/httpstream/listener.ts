import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions, Server as TlsServer } from 'node:tls';
import { ExecPathError, toError } from '../common/errors.ts';

/** How much a TLS socket may hold for a slow reader or writer, in bytes: large enough that relays seldom pause. */
const SOCKET_BUFFER_BYTES = 1024 * 1024;

/** Default of `headersTimeoutMs`. */
export const HEADERS_TIMEOUT_MS = 30_000;

/** Connections are looked over for late headers this often at least, in ms; a connection may live so much longer. */
const HEADERS_CHECK_INTERVAL_MS = 5_000;

/** How long an idle connection is kept for a next request, in ms: the kubelet's value. */
const KEEP_ALIVE_TIMEOUT_MS = 90_000;

/** What a client hears that speaks HTTP where TLS is spoken, in the words of Go's server, which people know. */
const WRONG_SCHEME_ANSWER =
  'HTTP/1.0 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n' +
  'Client sent an HTTP request to an HTTPS server.\n';

/** Header size limit in bytes; argv travels in the path. */
const MAX_HEADER_BYTES = 1024 * 1024;

/** How long a stop lets requests and sessions finish, in ms. */
export const STOP_GRACE_MS = 5_000;

/** Certificate, key and client CA of a listener, which may change while it listens; `pki`'s ReloadingTls is one. */
export interface TlsSource {
  /** PEM. With `ca` the server asks for client certificates; who has none is a question for the request's handler. */
  readonly material: Pick<SecureContextOptions, 'cert' | 'key' | 'ca'>;
  /** Gives `server` what is in force, now and at each change. @returns ends it */
  serve(server: Pick<TlsServer, 'setSecureContext'>): () => void;
}

export interface ListenOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  /** Without it: plain HTTP, for loopback only. */
  readonly tls?: TlsSource;
  /** How long a client may take for the TLS handshake, and then to the end of its request's headers, in ms; 30 s. */
  readonly headersTimeoutMs?: number;
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * Owns the socket. Also called for upgrades by POST; not for one that was sent behind a request without waiting for
   * its answer, which would end up in the midst of the new protocol: that connection is closed.
   */
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** An HTTP/1.1 server whose upgraded connections end with it. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  /** `https://host:port`, or `http://…` without TLS. */
  readonly url: string;
  /** Takes no more connections, gives the open ones `graceMs`, then destroys them. */
  close(graceMs?: number): Promise<void>;
}

/**
 * Listens with the limits and socket settings that every hop needs: no ALPN but http/1.1 (an h2 connection cannot be
 * upgraded), no delay, TCP keepalive, no limit on how long a response or a session may last.
 *
 * @throws ExecPathError ERR_LISTEN
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host = '127.0.0.1', port = 0, tls, headersTimeoutMs = HEADERS_TIMEOUT_MS } = options;
  const sockets = new Set<Duplex>();
  const settings = {
    highWaterMark: SOCKET_BUFFER_BYTES,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.min(headersTimeoutMs / 4, HEADERS_CHECK_INTERVAL_MS),
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requestTimeout: 0,
  };
  const unanswered = new Unanswered();
  const secure =
    tls &&
    createHttpsServer({
      ...settings,
      ...tls.material,
      ALPNProtocols: ['http/1.1'],
      minVersion: 'TLSv1.2',
      requestCert: tls.material.ca !== undefined,
      rejectUnauthorized: false,
      handshakeTimeout: headersTimeoutMs,
    });
  const server: Server = secure ?? createHttpServer(settings);
  const unsubscribe = secure && tls?.serve(secure);
  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  };
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    track(socket);
  });
  server.on('secureConnection', track);
  server.on('tlsClientError', (error: Error, socket: Socket) => {
    socket.destroy();
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SSL_HTTP_REQUEST') return;
    const { remoteAddress, remotePort } = socket;
    // The handshake has left what lies below open.
    for (const raw of connections) {
      if (raw.remotePort === remotePort && raw.remoteAddress === remoteAddress)
        raw.end(WRONG_SCHEME_ANSWER, () => raw.destroy());
    }
  });
  server.on('request', (request, response) => {
    unanswered.add(request.socket, response);
    options.onRequest(request, response);
  });
  server.on('upgrade', (request, socket, head) => {
    if (unanswered.has(request.socket)) socket.destroy();
    else options.onUpgrade(request, socket, head);
  });
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    unsubscribe?.();
    throw new ExecPathError('ERR_LISTEN', `cannot listen on ${host}:${port}: ${toError(cause).message}`, { cause });
  }
  // A connection that cannot be accepted (no memory, no buffers) is the client's loss alone.
  server.on('error', () => {});
  const bound = server.address() as AddressInfo;
  const shownHost = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    host: bound.address,
    port: bound.port,
    url: `${tls === undefined ? 'http' : 'https'}://${shownHost}:${bound.port}`,
    close: (graceMs = STOP_GRACE_MS) => {
      unsubscribe?.();
      return closeServer(server, sockets, graceMs);
    },
  };
}

/** Counts the requests of each connection that have no complete answer yet: clients may send several at once. */
class Unanswered {
  readonly #counts = new WeakMap<Socket, number>();

  add(socket: Socket, response: ServerResponse): void {
    this.#counts.set(socket, (this.#counts.get(socket) ?? 0) + 1);
    response.once('close', () => this.#counts.set(socket, (this.#counts.get(socket) ?? 1) - 1));
  }

  has(socket: Socket): boolean {
    return (this.#counts.get(socket) ?? 0) > 0;
  }
}

async function closeServer(server: Server, sockets: Set<Duplex>, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, graceMs);
  await closed;
  clearTimeout(timer);
}
