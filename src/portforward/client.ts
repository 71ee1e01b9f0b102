import type { Duplex } from 'node:stream';
import { ExecPathError, UpgradeError } from '../common/errors.ts';
import { subprotocols } from '../common/subprotocols.ts';
import {
  type CloseReason,
  type Connection,
  dialSpdy,
  openByteStream,
  type RawHeaders,
  SpdySession,
  type SpdySessionOptions,
  type SpdyStream,
} from '../httpstream/index.ts';
import { collectText } from './collect-text.ts';
import { reset, splice } from './splice.ts';

/** A client's pings inside the tunnel, in ms; straight SPDY has its own default. @see wire.md 1.7 */
export const TUNNEL_PING_INTERVAL_MS = 10_000;

/** The longest error text that a client keeps, in bytes. */
export const MAX_ERROR_BYTES = 64 * 1024;

export interface OpenPortForwardOptions {
  /** `tunnel` is SPDY inside a WebSocket: what passes proxies that know WebSocket alone. */
  readonly transport: 'spdy' | 'tunnel';
  /** Path and query, percent-encoded. */
  readonly path: string;
  /** The value of `Host`. */
  readonly host: string;
  /** Further header lines, such as `Authorization`. */
  readonly headers?: RawHeaders;
  /** Of the upgrade; 30 s. */
  readonly timeoutMs?: number;
  readonly session?: Omit<SpdySessionOptions, 'role' | 'head' | 'onStream'>;
  readonly signal?: AbortSignal;
}

/**
 * Opens a port-forward session on a connected socket. Takes over the socket; on failure it is destroyed.
 *
 * @throws UpgradeError as `dialSpdy` and `openByteStream`; ERR_NO_COMMON_PROTOCOL for a server that names no protocol
 */
export async function openPortForward(socket: Duplex, options: OpenPortForwardOptions): Promise<PortForwardSession> {
  const { transport, path, host, headers = [], session = {}, timeoutMs, signal } = options;
  const upgrade = { ...(timeoutMs === undefined ? {} : { timeoutMs }), ...(signal === undefined ? {} : { signal }) };
  if (transport === 'tunnel') {
    const protocols = [subprotocols.portForwardTunnel];
    const stream = await openByteStream(socket, { path, host, headers, protocols, ...upgrade });
    const pingIntervalMs = session.pingIntervalMs ?? TUNNEL_PING_INTERVAL_MS;
    return new PortForwardSession(new SpdySession(stream, { ...session, pingIntervalMs, role: 'client' }));
  }
  const dialed = await dialSpdy(socket, {
    path,
    headers: [['Host', host], ...headers],
    protocols: [subprotocols.portForward],
    session,
    ...upgrade,
  });
  if (dialed.protocol === subprotocols.portForward) return new PortForwardSession(dialed.session);
  dialed.session.destroy();
  const message = 'unable to negotiate protocol: client supports "portforward.k8s.io", server returned ""';
  throw new UpgradeError('ERR_NO_COMMON_PROTOCOL', message, { httpStatus: 101, body: '', headers: dialed.headers });
}

/** One connection to a port of the pod. */
export interface RemoteConnection {
  readonly port: number;
  /** `end()` half-closes, `destroy()` gives it up. An `end` from the pod counts only when `failed` stays undefined. */
  readonly data: Duplex;
  /**
   * Why it failed, in the words of the one who failed, or undefined. Settles when both streams have ended, never rejects.
   * ERR_REMOTE with the text of the error stream; ERR_STREAM_RESET for a connection that the pod cut; ERR_CONNECTION_LOST.
   */
  readonly failed: Promise<ExecPathError | undefined>;
}

/**
 * Port-forward on one connection, as its client. Any number of connections to any ports.
 *
 * A port that refuses fails its connection alone; kubectl gives up the session then.
 *
 * Owns: the SPDY session.
 */
export class PortForwardSession implements Connection {
  readonly closed: Promise<CloseReason>;
  readonly #session: SpdySession;
  #nextRequest = 0;

  constructor(session: SpdySession) {
    this.#session = session;
    this.closed = session.closed;
  }

  /**
   * Opens a connection. That it is open does not mean that the port answers: the pod is dialed now.
   *
   * @throws ExecPathError as `SpdySession.openStream`
   */
  async connect(port: number, { signal }: { readonly signal?: AbortSignal } = {}): Promise<RemoteConnection> {
    const requestid = String(this.#nextRequest++);
    const options = signal === undefined ? {} : { signal };
    const headers = { port: String(port), requestid };
    const [error, data] = await this.#openPair(headers, options);
    error.end();
    const text = collectText(error, MAX_ERROR_BYTES);
    let cut = false;
    const ended = new Promise<void>((resolve) => {
      data.once('end', () => {
        cut = !data.finByPeer;
        resolve();
      });
      data.once('close', resolve);
    });
    const failed = text.then(async (said) => {
      if (said !== '') {
        data.destroy();
        return new ExecPathError('ERR_REMOTE', said);
      }
      await ended;
      if (!cut) return undefined;
      return data.resetByPeer
        ? new ExecPathError('ERR_STREAM_RESET', `the pod cut the connection to port ${port}`)
        : new ExecPathError('ERR_CONNECTION_LOST', `the session ended before the connection to port ${port}`);
    });
    return { port, data, failed };
  }

  /** Both streams of a connection, opened at once; one alone is given up again. */
  async #openPair(
    headers: Readonly<Record<string, string>>,
    options: { readonly signal?: AbortSignal },
  ): Promise<[error: SpdyStream, data: SpdyStream]> {
    const open = (streamtype: string): Promise<SpdyStream> =>
      this.#session.openStream({ streamtype, ...headers }, options);
    const pair = [open('error'), open('data')] as const;
    try {
      return await Promise.all(pair);
    } catch (thrown) {
      for (const one of pair) void one.then((stream) => stream.destroy()).catch(() => {});
      throw thrown;
    }
  }

  /**
   * Connects `local` to a port and carries bytes until both sides have ended. A failure resets `local`.
   *
   * Owns: `local`. Never rejects.
   *
   * @returns why it failed, or undefined
   */
  async forward(local: Duplex, port: number): Promise<ExecPathError | undefined> {
    local.on('error', () => {});
    const gone = new AbortController();
    local.once('close', () => gone.abort());
    let remote: RemoteConnection;
    try {
      remote = await this.connect(port, { signal: gone.signal });
    } catch (thrown) {
      reset(local);
      return thrown instanceof ExecPathError ? thrown : new ExecPathError('ERR_INTERNAL', String(thrown));
    }
    const { cut } = await splice(local, remote.data);
    // A connection that was given up on purpose has no failure to wait for.
    const failure = cut === 'client' ? undefined : await remote.failed;
    if (failure !== undefined || cut === 'target') reset(local);
    else local.end();
    return failure;
  }

  /** Says goodbye; connections that are open are reset. */
  close(): Promise<void> {
    return this.#session.close();
  }

  destroy(cause?: Error): void {
    this.#session.destroy(cause);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
