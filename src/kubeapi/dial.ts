import { request } from 'node:http';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { toError } from '../common/errors.ts';
import { hostOf, hostPort, portOf } from './host-port.ts';

/** First TCP keepalive probe after this silence; it keeps a connection through NAT and finds dead peers. */
const KEEPALIVE_MS = 30_000;
/** Before the next address of a host is tried. Node's 250 ms gives up on peers across an ocean. */
const NEXT_ADDRESS_MS = 2000;

export interface DialStep {
  /** Aborting destroys the socket of the step; its reason is what the step throws. */
  readonly signal: AbortSignal;
  /** Bytes each way before back-pressure. Default: Node's. */
  readonly highWaterMark?: number | undefined;
}

/** A TCP connection to the host and port of `url`, without delay and with keepalive. */
export async function dialTcp(url: URL, step: DialStep): Promise<Socket> {
  const socket = connectTcp({
    host: hostOf(url),
    port: portOf(url),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_MS,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
    ...highWaterMark(step),
  });
  await ready(socket, 'connect', step.signal);
  return socket;
}

/** How to speak TLS with one server. */
export interface TlsDial {
  readonly options: ConnectionOptions;
  /** Gets the socket before its handshake. */
  readonly onSocket?: (socket: TLSSocket) => void;
}

/** TLS as a client on `socket`, which it then owns. */
export async function dialTls(socket: Socket, { options, onSocket }: TlsDial, step: DialStep): Promise<TLSSocket> {
  const secure = connectTls({ ...options, ...highWaterMark(step), socket });
  onSocket?.(secure);
  await ready(secure, 'secureConnect', step.signal);
  return secure;
}

/**
 * Asks the http proxy at the other end of `socket` for a tunnel to `target`; any 2xx is a yes.
 *
 * @throws Error with the proxy's answer
 */
export async function tunnelHttp(socket: Socket, proxy: URL, target: URL, { signal }: DialStep): Promise<void> {
  const headers: Record<string, string> = { Host: hostPort(target) };
  if (proxy.username !== '') {
    const [user, password] = [proxy.username, proxy.password].map(decodeURIComponent);
    headers['Proxy-Authorization'] = `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;
  }
  await new Promise<void>((resolve, reject) => {
    const ask = request({ method: 'CONNECT', path: hostPort(target), headers, createConnection: () => socket, signal });
    ask.once('error', (cause) => reject(signal.aborted ? toError(signal.reason) : cause));
    ask.once('response', (answer) => reject(refusal(answer.statusCode)));
    ask.once('connect', (answer, _socket, head) => {
      const code = answer.statusCode ?? 0;
      if (code < 200 || code > 299) return reject(refusal(code));
      if (head.length > 0) socket.unshift(head);
      return resolve();
    });
    ask.end();
  }).catch((cause: unknown) => {
    socket.destroy();
    throw cause;
  });
}

function refusal(code: number | undefined): Error {
  return new Error(
    code === 407
      ? 'the proxy wants a user and a password (407): write them into proxy-url as http://user:password@host:port'
      : `the proxy refused the tunnel with HTTP ${code ?? 0}`,
  );
}

/** Asks the SOCKS5 proxy at the other end of `socket` for a tunnel to `target`; the proxy looks the name up. */
export async function tunnelSocks(socket: Socket, proxy: URL, target: URL, { signal }: DialStep): Promise<void> {
  const { SocksClient } = await import('socks');
  const drop = (): void => void socket.destroy();
  signal.addEventListener('abort', drop, { once: true });
  try {
    signal.throwIfAborted();
    await SocksClient.createConnection({
      command: 'connect',
      existing_socket: socket,
      destination: { host: hostOf(target), port: portOf(target) },
      proxy: {
        host: hostOf(proxy),
        port: portOf(proxy),
        type: 5,
        ...(proxy.username === ''
          ? {}
          : { userId: decodeURIComponent(proxy.username), password: decodeURIComponent(proxy.password) }),
      },
    });
  } catch (cause) {
    socket.destroy();
    signal.throwIfAborted();
    throw cause;
  } finally {
    signal.removeEventListener('abort', drop);
  }
}

function highWaterMark(step: DialStep): { highWaterMark?: number } {
  return step.highWaterMark === undefined ? {} : { highWaterMark: step.highWaterMark };
}

/** Resolves at `event`; destroys the socket on error, end or abort. Leaves no listener behind. */
function ready(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const cleanup = (): void => {
      socket.off(event, onReady).off('error', onError).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (cause: unknown): void => {
      cleanup();
      // An error that follows has nobody left to tell.
      socket.on('error', () => {}).destroy();
      reject(toError(cause));
    };
    const onReady = (): void => {
      cleanup();
      resolve();
    };
    const onError = (cause: Error): void => fail(cause);
    const onClose = (): void => fail(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    const onAbort = (): void => fail(signal.reason);
    socket.once(event, onReady).once('error', onError).once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
