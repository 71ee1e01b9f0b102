import type { Duplex } from 'node:stream';
import {
  expectedStreams,
  type StreamOptions,
  type StreamType,
  streamChannels,
  streamOrder,
} from '../common/channels.ts';
import { deferred } from '../common/deferred.ts';
import { ExecPathError } from '../common/errors.ts';
import { type SubprotocolTraits, traitsOf } from '../common/subprotocols.ts';
import type { ChannelSession, Connection, IncomingStream, SpdySession } from '../httpstream/index.ts';

/** The streams of one exec or attach session on a connection, the same for SPDY and WebSocket, client and server. */
export interface StreamSet {
  readonly transport: 'spdy' | 'websocket';
  readonly connection: Connection;
  /** Negotiated name; `''` for a WebSocket without one. */
  readonly protocol: string;
  readonly traits: SubprotocolTraits;
  /** The streams that were asked for; `error` is always there. */
  readonly streams: Readonly<Partial<Record<StreamType, Duplex>>> & { readonly error: Duplex };
}

/** Default of `streamTimeoutMs`: how long a server waits for the whole set, a client for one stream's reply. */
export const STREAM_CREATION_TIMEOUT_MS = 30_000;

/**
 * Client over SPDY: opens the streams in upstream's order, all at once.
 *
 * Upstream waits for each reply before the next; that is a round trip through all hops for each stream.
 *
 * @throws ExecPathError as `SpdySession.openStream`, for the first that fails; the others are the session's, to be closed
 */
export async function openStreamSet(
  session: SpdySession,
  protocol: string,
  options: StreamOptions,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<StreamSet> {
  const traits = traitsOf(protocol, 'spdy');
  const opened = expectedStreams(options, traits.resize).map(async (type) => {
    const stream = await session.openStream({ streamtype: type }, signal === undefined ? {} : { signal });
    return [type, stream] as const;
  });
  const streams = Object.fromEntries(await Promise.all(opened));
  return toStreamSet('spdy', session, protocol, traits, streams);
}

/** Client and server over WebSocket: the channels exist from the start. */
export function channelStreamSet(session: ChannelSession, options: StreamOptions): StreamSet {
  const traits = traitsOf(session.protocol, 'websocket');
  const types = expectedStreams(options, traits.resize);
  const streams = Object.fromEntries(types.map((type) => [type, session.channel(streamChannels[type])]));
  return toStreamSet('websocket', session, session.protocol, traits, streams);
}

/**
 * Server over SPDY: gathers the streams that a client opens.
 *
 * Unknown types, second streams of one type and streams beyond the set are refused by RST_STREAM, so that a set is
 * complete only when each of its types is there.
 *
 * collecting ─all types there→ complete · collecting ─streamTimeoutMs, connection ended→ failed
 */
export class StreamCollector {
  readonly #streams: Partial<Record<StreamType, Duplex>> = {};
  readonly #missing: Set<StreamType>;
  readonly #complete = deferred<void>();

  constructor(options: StreamOptions, protocol: string) {
    this.#missing = new Set(expectedStreams(options, traitsOf(protocol, 'spdy').resize));
  }

  /** The `onStream` of the session. */
  offer(incoming: IncomingStream): void {
    const type = incoming.headers.get('streamtype') ?? '';
    if (!isStreamType(type) || !this.#missing.has(type)) {
      incoming.reject();
      return;
    }
    this.#missing.delete(type);
    this.#streams[type] = incoming.accept();
    if (this.#missing.size === 0) this.#complete.resolve();
  }

  /**
   * @throws ExecPathError ERR_STREAM_TIMEOUT with the missing types, ERR_CONNECTION_LOST
   */
  async collect(session: SpdySession, protocol: string, timeoutMs = STREAM_CREATION_TIMEOUT_MS): Promise<StreamSet> {
    const timer = setTimeout(() => {
      const missing = [...this.#missing].join(', ');
      this.#complete.reject(
        new ExecPathError('ERR_STREAM_TIMEOUT', `the client did not open ${missing} within ${timeoutMs} ms`),
      );
    }, timeoutMs);
    void session.closed.then(() => {
      this.#complete.reject(new ExecPathError('ERR_CONNECTION_LOST', 'the client left before its streams were open'));
    });
    try {
      await this.#complete.promise;
    } finally {
      clearTimeout(timer);
    }
    return toStreamSet('spdy', session, protocol, traitsOf(protocol, 'spdy'), this.#streams);
  }
}

function isStreamType(text: string): text is StreamType {
  return (streamOrder as readonly string[]).includes(text);
}

function toStreamSet(
  transport: StreamSet['transport'],
  connection: Connection,
  protocol: string,
  traits: SubprotocolTraits,
  streams: Partial<Record<StreamType, Duplex>>,
): StreamSet {
  const { error } = streams;
  if (error === undefined) throw new ExecPathError('ERR_INTERNAL', 'a stream set without an error stream');
  return { transport, connection, protocol, traits, streams: { ...streams, error } };
}
