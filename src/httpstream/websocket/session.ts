import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { CLOSE_CHANNEL } from '../../common/channels.ts';
import { ExecPathError } from '../../common/errors.ts';
import { traitsOf } from '../../common/subprotocols.ts';
import { type CloseReason, type Connection, STREAM_BUFFER_BYTES } from '../connection.ts';
import { ChannelMessageReader, channelMessage, maxPayloadBytes } from './channel-message.ts';
import { type DataPiece, MAX_MESSAGE_BYTES } from './frame.ts';
import { type LinkOptions, WebSocketLink } from './link.ts';
import { ChannelStream } from './stream.ts';

/**
 * What a session holds beyond {@link STREAM_BUFFER_BYTES} for channels that are not read, before it stops reading the
 * socket: so far PINGs, resizes and other channels still get through. There is no credit on this wire; a process that
 * reads no stdin ends in a stopped socket, whatever the bound.
 */
export const READ_AHEAD_BYTES = 1024 * 1024;

/** 0 … 4: stdin, stdout, stderr, error, resize. */
const EXEC_CHANNELS = 5;

export interface ChannelSessionOptions extends LinkOptions {
  readonly role: 'client' | 'server';
  /** The negotiated subprotocol, '' for none. */
  readonly protocol: string;
  /** Channels that the peer may send on; data for others is discarded. */
  readonly readable: readonly number[];
  /** Channels that this side may send on. */
  readonly writable: readonly number[];
  /** Default {@link READ_AHEAD_BYTES}. */
  readonly readAheadBytes?: number;
}

/**
 * A WebSocket with channels, client or server.
 *
 * Head of line: channels share one TCP connection. A channel that nobody reads stops the others once the session holds
 * `STREAM_BUFFER_BYTES + readAheadBytes`, plus what one read of the socket brought.
 *
 * Owns: the socket and every channel.
 */
export class ChannelSession implements Connection {
  /** Negotiated, '' for none. */
  readonly protocol: string;
  readonly closed: Promise<CloseReason>;
  readonly #role: 'client' | 'server';
  readonly #traits: { readonly base64: boolean; readonly closeChannel: boolean };
  readonly #link: WebSocketLink;
  readonly #messages: ChannelMessageReader;
  readonly #channels = new Map<number, ChannelStream>();
  readonly #closedChannels = new Set<number>();
  readonly #maxHeldBytes: number;

  constructor(socket: Duplex, options: ChannelSessionOptions) {
    this.protocol = options.protocol;
    this.#role = options.role;
    this.#traits = traitsOf(options.protocol, 'websocket');
    this.#maxHeldBytes = STREAM_BUFFER_BYTES + (options.readAheadBytes ?? READ_AHEAD_BYTES);
    const numbers = new Set([...options.readable, ...options.writable]);
    for (const number of numbers) this.#channels.set(number, this.#newChannel(number, options));
    this.#messages = new ChannelMessageReader({
      role: options.role,
      ...this.#traits,
      channelCount: Math.max(EXEC_CHANNELS, ...[...numbers].map((number) => number + 1)),
    });
    // Go's servers have the limit, Go's clients have none.
    const limit = options.role === 'server' ? { maxMessageBytes: MAX_MESSAGE_BYTES } : {};
    const receiver = {
      receive: (piece: DataPiece) => this.#receive(piece),
      ended: (reason: CloseReason) => this.#ended(reason),
    };
    this.#link = new WebSocketLink(socket, options.role, receiver, { ...limit, ...options });
    this.closed = this.#link.closed;
  }

  /**
   * The stream of one channel; each call gives the same.
   *
   * @throws ExecPathError ERR_INTERNAL when the session was made without it
   */
  channel(number: number): ChannelStream {
    const stream = this.#channels.get(number);
    if (stream === undefined) {
      const known = [...this.#channels.keys()].join(', ');
      throw new ExecPathError('ERR_INTERNAL', `the session has the channels ${known}, not ${number}`);
    }
    return stream;
  }

  /** Sends an empty message on `channel`: a server's "connected", which no reader sees as data (wire.md 3.4). */
  greet(channel: number): void {
    const { opcode, prefix, payload } = channelMessage(channel, new Uint8Array(0), this.#traits);
    this.#link.send(opcode, payload, { prefix });
  }

  /**
   * Flushes every channel, says Close 1000, waits for the peer's Close or EOF. What the peer sends meanwhile is
   * discarded.
   */
  close(): Promise<void> {
    this.#link.read(true);
    return this.#link.close(this.#flush());
  }

  destroy(cause?: Error): void {
    this.#link.destroy(cause);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #newChannel(number: number, options: ChannelSessionOptions): ChannelStream {
    const directions = { readable: options.readable.includes(number), writable: options.writable.includes(number) };
    return new ChannelStream(number, directions, {
      write: (channel, bytes, done) => this.#write(channel, bytes, done),
      endWriting: (channel, done) => this.#endWriting(channel, done),
      taken: () => this.#taken(),
    });
  }

  #receive(piece: DataPiece): void {
    const event = this.#messages.read(piece);
    if (event === undefined || this.#link.state !== 'open') return;
    const stream = this.#channels.get(event.channel);
    if (stream === undefined || !stream.readable) return;
    if (event.kind === 'closeChannel') {
      stream.endReading();
      return;
    }
    stream.receive(event.bytes);
    if (stream.heldBytes > 0 && this.#heldBytes() > this.#maxHeldBytes) this.#link.read(false);
  }

  /** Goes on reading at half the bound: nearer to it reading would stop and go on for every message. */
  #taken(): void {
    if (this.#heldBytes() <= this.#maxHeldBytes / 2) this.#link.read(true);
  }

  #heldBytes(): number {
    let held = 0;
    for (const stream of this.#channels.values()) held += stream.heldBytes;
    return held;
  }

  #write(channel: number, bytes: Uint8Array, done: () => void): void {
    const max = maxPayloadBytes(this.#traits);
    let offset = 0;
    const next = (): void => {
      while (offset < bytes.length) {
        if (this.#link.blocked) {
          this.#link.whenFree(next);
          return;
        }
        const part = bytes.subarray(offset, offset + max);
        offset += part.length;
        const { opcode, prefix, payload } = channelMessage(channel, part, this.#traits);
        if (offset < bytes.length) this.#link.send(opcode, payload, { prefix });
        else {
          this.#link.send(opcode, payload, { prefix, taken: done });
          return;
        }
      }
      done();
    };
    next();
  }

  #endWriting(channel: number, done: () => void): void {
    const { closeChannel } = this.#traits;
    if (!closeChannel || this.#role === 'server' || this.#closedChannels.has(channel)) {
      done();
      return;
    }
    this.#closedChannels.add(channel);
    const { opcode, prefix, payload } = channelMessage(CLOSE_CHANNEL, Uint8Array.of(channel), this.#traits);
    this.#link.whenFree(() => this.#link.send(opcode, payload, { prefix, taken: done }));
  }

  /** Resolves when no channel has anything left to send. */
  async #flush(): Promise<void> {
    const writing = [...this.#channels.values()].filter((stream) => stream.writable || stream.writableLength > 0);
    await Promise.allSettled(
      writing.map((stream) => {
        stream.end();
        return finished(stream, { readable: false });
      }),
    );
  }

  #ended(reason: CloseReason): void {
    for (const stream of this.#channels.values()) {
      if (reason.kind === 'lost') stream.failReading(reason.error);
      else if (reason.by === 'remote') stream.endBoth();
      else stream.destroy();
    }
  }
}
