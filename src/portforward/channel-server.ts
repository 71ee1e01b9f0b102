import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { subprotocols } from '../common/subprotocols.ts';
import { acceptChannels, type CloseReason, type ConnectionLimits, refuseUpgrade } from '../httpstream/index.ts';
import { type ForwardOptions, forwardConnection } from './forward.ts';

/** Each port has two channels, and a channel is one byte: more ports cannot be told apart. */
export const MAX_CHANNEL_PORTS = 127;

/** `''` is a client that offers none. v1 is not spoken here. */
export const channelProtocols: readonly string[] = ['', subprotocols.v4, subprotocols.v4Base64];

export interface ServeChannelsOptions extends ConnectionLimits, Pick<ForwardOptions, 'dial' | 'pod'> {
  readonly ports?: readonly number[];
}

/**
 * Serves the older WebSocket form: the ports are fixed, each is connected to once, at once. Port number i has its data on
 * channel 2i and its errors on 2i + 1; the first message of each channel is the port, 16 bits, little-endian.
 *
 * There is no half-close: a target's end ends its connection, the client's is the end of the WebSocket. When all
 * connections have ended the server says Close 1000.
 *
 * Owns: the socket. Never rejects. @see wire.md 5.2
 */
export async function serveChannels(
  { request, socket, head }: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  options: ServeChannelsOptions,
): Promise<{ readonly reason: CloseReason; readonly connections: number } | undefined> {
  const { dial, pod, ports = [], ...limits } = options;
  if (ports.length === 0 || ports.length > MAX_CHANNEL_PORTS) {
    const rule = 'a WebSocket without a tunnel forwards the 1 to 127 ports that the request names';
    refuseUpgrade(socket, 400, `${rule}, not ${ports.length}`);
    return undefined;
  }
  const session = acceptChannels(request, socket, head, {
    ...limits,
    protocols: channelProtocols,
    readable: ports.map((_, index) => 2 * index),
    writable: ports.flatMap((_, index) => [2 * index, 2 * index + 1]),
    greet: false,
  });
  if (session === undefined) return undefined;
  const gone = new AbortController();
  setMaxListeners(ports.length, gone.signal);
  void session.closed.then(() => gone.abort());
  const pairs = ports.map((port, index) => {
    const [data, error] = [session.channel(2 * index), session.channel(2 * index + 1)];
    for (const stream of [data, error]) {
      stream.on('error', () => {});
      stream.write(Uint8Array.of(port & 0xff, port >> 8));
    }
    return { id: String(index), port, data, error };
  });
  const forward = { dial, pod, signal: gone.signal, quietMs: 0, canReset: false };
  await Promise.all(pairs.map((pair) => forwardConnection(pair, forward)));
  await session.close();
  return { reason: await session.closed, connections: pairs.length };
}
