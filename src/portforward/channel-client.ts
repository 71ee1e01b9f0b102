import type { Duplex, Readable } from 'node:stream';
import { ExecPathError, ProtocolError, toError } from '../common/errors.ts';
import { type CloseReason, type Connection, type OpenOptions, openChannels } from '../httpstream/index.ts';
import { MAX_ERROR_BYTES, type RemoteConnection } from './client.ts';
import { collectText } from './collect-text.ts';

/** How long a server may take to name the port on each channel, in ms. */
export const PORT_PREFIX_TIMEOUT_MS = 30_000;

export interface OpenChannelForwardOptions extends Omit<OpenOptions, 'protocols'> {
  /** Default: v4. `''` offers none. */
  readonly protocol?: '' | 'v4.channel.k8s.io' | 'v4.base64.channel.k8s.io';
  /** As the request names them: `path` must have the same, in this order. */
  readonly ports: readonly number[];
}

/** The older WebSocket form: one connection for each port, open from the start. */
export interface ChannelForward extends Connection {
  /** In the order of `ports`. `data.end()` says nothing on the wire: there is no half-close. */
  readonly connections: readonly RemoteConnection[];
}

/**
 * Opens a WebSocket with the channels of `ports` and reads the port off each of them.
 *
 * @throws UpgradeError, ExecPathError as `openChannels`; ProtocolError ERR_CHANNEL when a channel names another port;
 *   ERR_STREAM_TIMEOUT
 */
export async function openChannelForward(socket: Duplex, options: OpenChannelForwardOptions): Promise<ChannelForward> {
  const { protocol = 'v4.channel.k8s.io', ports, ...rest } = options;
  const session = await openChannels(socket, {
    ...rest,
    protocols: protocol === '' ? [] : [protocol],
    readable: ports.flatMap((_, index) => [2 * index, 2 * index + 1]),
    writable: ports.map((_, index) => 2 * index),
  });
  const timer = setTimeout(() => {
    const message = `the server did not name the ports within ${PORT_PREFIX_TIMEOUT_MS} ms`;
    session.destroy(new ExecPathError('ERR_STREAM_TIMEOUT', message));
  }, PORT_PREFIX_TIMEOUT_MS).unref();
  try {
    const channels = ports.map((port, index) => {
      return { port, data: session.channel(2 * index), error: session.channel(2 * index + 1) };
    });
    await Promise.all(channels.flatMap(({ port, data, error }) => [takePort(data, port), takePort(error, port)]));
    return {
      connections: channels.map(({ port, data, error }) => ({
        port,
        data,
        failed: failureOf(collectText(error, MAX_ERROR_BYTES), session.closed),
      })),
      closed: session.closed,
      close: () => session.close(),
      destroy: (cause) => session.destroy(cause),
      [Symbol.asyncDispose]: () => session.close(),
    };
  } catch (thrown) {
    session.destroy(toError(thrown));
    throw thrown;
  } finally {
    clearTimeout(timer);
  }
}

async function failureOf(text: Promise<string>, closed: Promise<CloseReason>): Promise<ExecPathError | undefined> {
  const said = await text;
  if (said !== '') return new ExecPathError('ERR_REMOTE', said);
  const reason = await closed;
  return reason.kind === 'lost' ? reason.error : undefined;
}

/** The first two bytes of a channel: its port, little-endian. */
async function takePort(channel: Readable, port: number): Promise<void> {
  const bytes = await twoBytes(channel);
  const named = (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8);
  if (named !== port) {
    throw new ProtocolError('ERR_CHANNEL', `a channel of port ${port} begins with the port ${named}`);
  }
}

function twoBytes(channel: Readable): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      channel.off('readable', look).off('end', fail).off('close', fail);
    };
    const look = (): void => {
      const bytes = channel.read(2) as Buffer | null;
      if (bytes === null) return;
      stop();
      resolve(bytes);
    };
    const fail = (): void => {
      stop();
      const cause = channel.errored;
      reject(cause ?? new ProtocolError('ERR_CHANNEL', 'a channel ended before it had named its port'));
    };
    channel.on('readable', look).on('end', fail).on('close', fail);
    look();
  });
}
