import { channel } from 'node:diagnostics_channel';
import type { Duplex } from 'node:stream';
import { FrameEncoder } from './encoder.ts';
import type { Frame } from './frame.ts';
import { splitPayload } from './payload.ts';
import { FrameWriter } from './writer.ts';

/** Every frame, in and out: `{ role, direction, frame }`, DATA by the write. Costs nothing without subscribers. */
export const frameChannel = channel('exec:spdy:frame');

export interface OutboxOptions {
  readonly role: 'client' | 'server';
  /** The socket has taken something. */
  readonly onTaken: () => void;
  /** `bytes` of payload go out in so many DATA frames. */
  readonly onData: (bytes: number, frames: number) => void;
}

/**
 * Makes one side's frames and sends them, in one synchronous step each, so that header blocks leave in the order in which
 * they were compressed.
 *
 * A server's outbox is shut until `open()`: what it says before the client's first byte is lost in Go clients, which read
 * the 101 through a buffer that they throw away (wire.md 1.1). Frames for a shut outbox are dropped.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #encoder = new FrameEncoder();
  readonly #writer: FrameWriter;
  #isOpen: boolean;

  constructor(socket: Duplex, options: OutboxOptions) {
    this.#options = options;
    this.#writer = new FrameWriter(socket, options.onTaken);
    this.#isOpen = options.role === 'client';
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** True when the socket has taken everything: the peer reads. */
  get idle(): boolean {
    return this.#writer.idle;
  }

  /** Bytes of answers that the peer has not taken yet. */
  get replyBytes(): number {
    return this.#writer.replyBytes;
  }

  open(): void {
    this.#isOpen = true;
  }

  /** Hands over what is queued and takes no more. */
  close(): void {
    this.#isOpen = false;
    this.#writer.flush();
  }

  /** Writes no more, also not what is queued; everybody who waits is told. */
  abandon(): void {
    this.#isOpen = false;
    this.#writer.abandon();
  }

  /** @throws ExecPathError ERR_HEADER_BLOCK; nothing is sent then */
  synStream(id: number, headers: Readonly<Record<string, string>>): void {
    const frame = this.#encoder.synStream(id, headers);
    if (this.#mayQueue('SYN_STREAM', id)) this.#writer.send([frame]);
  }

  synReply(id: number): void {
    if (this.#mayQueue('SYN_REPLY', id)) this.#writer.reply(this.#encoder.synReply(id));
  }

  rstStream(id: number, status: number): void {
    if (this.#mayQueue('RST_STREAM', id)) this.#writer.reply(this.#encoder.rstStream(id, status));
  }

  ping(id: number): void {
    if (this.#mayQueue('PING', id)) this.#writer.send([this.#encoder.ping(id)]);
  }

  /** Sends back a ping of the peer. */
  echo(id: number): void {
    if (this.#mayQueue('PING', id)) this.#writer.reply(this.#encoder.ping(id));
  }

  goAway(lastGoodStreamId: number, status: number): void {
    if (this.#mayQueue('GOAWAY', lastGoodStreamId)) this.#writer.send([this.#encoder.goAway(lastGoodStreamId, status)]);
  }

  /** @param done runs when the socket has taken all of it, or the outbox is given up */
  data(id: number, chunks: readonly Uint8Array[], done: () => void): void {
    if (!this.#mayQueue('DATA', id)) {
      done();
      return;
    }
    const payloads = splitPayload(chunks);
    let bytes = 0;
    payloads.forEach((payload, index) => {
      const length = payload.reduce((sum, piece) => sum + piece.length, 0);
      bytes += length;
      const isLast = index === payloads.length - 1;
      this.#writer.send([this.#encoder.dataHead(id, length), ...payload], isLast ? done : undefined);
    });
    this.#options.onData(bytes, payloads.length);
  }

  fin(id: number, done: () => void): void {
    if (this.#mayQueue('DATA', id)) this.#writer.send([this.#encoder.dataHead(id, 0, true)], done);
    else done();
  }

  #mayQueue(type: Frame['type'], id: number): boolean {
    if (this.#isOpen && frameChannel.hasSubscribers) {
      frameChannel.publish({ role: this.#options.role, direction: 'out', frame: { type, id } });
    }
    return this.#isOpen;
  }
}
