import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { subprotocols } from '../common/subprotocols.ts';
import {
  acceptByteStream,
  acceptSpdy,
  type CloseReason,
  type ConnectionLimits,
  isWebSocketUpgrade,
  refuseUpgrade,
  SpdySession,
  type SpdySessionOptions,
} from '../httpstream/index.ts';
import { serveChannels } from './channel-server.ts';
import { type ForwardOptions, forwardConnection } from './forward.ts';
import { StreamPairs } from './stream-pairs.ts';
import { tunnelProtocols } from './tunnel.ts';

export interface ServePortForwardOptions extends ConnectionLimits, Pick<ForwardOptions, 'dial' | 'pod' | 'quietMs'> {
  /** The ports of the older WebSocket form, which names them in the request; SPDY and the tunnel name them per stream. */
  readonly ports?: readonly number[];
  /** How long a client may take for both streams of a pair; 30 s. */
  readonly streamTimeoutMs?: number;
}

/** What became of a session. */
export interface PortForwardEnd {
  readonly reason: CloseReason;
  /** Forwarded connections that it had, refused ones too. */
  readonly connections: number;
}

/**
 * Serves one port-forward request, in whichever of its forms: SPDY, SPDY in a WebSocket, WebSocket channels.
 *
 * A connection that nobody reads holds what its streams hold. Beyond that SPDY has no credit to brake one stream alone:
 * once a client owes the session more than its bound, all its connections wait (httpstream, SESSION_OVERRUN_BYTES).
 *
 * Owns: the socket and every dialed connection. Never rejects.
 *
 * @returns when the client has left and every connection is gone; undefined when the upgrade was refused
 */
export async function servePortForward(
  { request, socket, head }: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  options: ServePortForwardOptions,
): Promise<PortForwardEnd | undefined> {
  const tunnel = tunnelProtocols(request);
  if (tunnel.length === 0 && isWebSocketUpgrade(request)) {
    return await serveChannels({ request, socket, head }, options);
  }
  const forwards = new Forwards(options);
  const session =
    tunnel.length > 0
      ? acceptTunnel(request, socket, head, tunnel, forwards.sessionOptions)
      : acceptSpdy(request, socket, head, [subprotocols.portForward], forwards.sessionOptions)?.session;
  return session && (await forwards.serve(session));
}

/** The next layer's pings keep the connection: the WebSocket around it sends none. */
function acceptTunnel(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  offered: readonly string[],
  options: Omit<SpdySessionOptions, 'role' | 'head'>,
): SpdySession | undefined {
  if (!offered.includes(subprotocols.portForward)) {
    refuseUpgrade(socket, 403, `unable to upgrade: the server tunnels ${subprotocols.portForward} alone`);
    return undefined;
  }
  const stream = acceptByteStream(request, socket, head, { protocol: subprotocols.portForwardTunnel });
  return stream && new SpdySession(stream, { ...options, role: 'server' });
}

/** The connections of one SPDY session. */
class Forwards {
  readonly sessionOptions: Omit<SpdySessionOptions, 'role' | 'head'>;
  readonly #pairs: StreamPairs;
  readonly #gone = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #connections = 0;

  constructor(options: ServePortForwardOptions) {
    const { dial, pod, quietMs, ports: _ports, streamTimeoutMs, ...limits } = options;
    // One listener for each connection that is being dialed: as many as the session may have streams.
    setMaxListeners(0, this.#gone.signal);
    this.#pairs = new StreamPairs({
      ...(streamTimeoutMs === undefined ? {} : { timeoutMs: streamTimeoutMs }),
      onPair: (pair) => {
        this.#connections += 1;
        const forward = { dial, pod, signal: this.#gone.signal, ...(quietMs === undefined ? {} : { quietMs }) };
        const running = forwardConnection(pair, forward).finally(() => this.#running.delete(running));
        this.#running.add(running);
        return running;
      },
    });
    this.sessionOptions = { ...limits, onStream: (incoming) => this.#pairs.offer(incoming) };
  }

  async serve(session: SpdySession): Promise<PortForwardEnd> {
    const reason = await session.closed;
    this.#pairs.close();
    this.#gone.abort();
    await Promise.all(this.#running);
    return { reason, connections: this.#connections };
  }
}
