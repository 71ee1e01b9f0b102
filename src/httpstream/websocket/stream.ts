import { ReceivingDuplex } from './receiving-duplex.ts';

/** What a channel asks of its session. */
export interface ChannelOwner {
  /** Sends `bytes`; `done` when they are the caller's again and more may come. */
  write(channel: number, bytes: Uint8Array, done: () => void): void;
  /** This side writes no more on `channel`; `done` when that is said, as far as the protocol can say it. */
  endWriting(channel: number, done: () => void): void;
  /** The backlog of a channel has become smaller. */
  taken(): void;
}

export interface ChannelDirections {
  /** The peer may send on it. */
  readonly readable: boolean;
  /** We may send on it. */
  readonly writable: boolean;
}

/**
 * One channel of a WebSocket as its user sees it.
 *
 * | | v5, from a client | v5, from a server; v1 … v4 |
 * |---|---|---|
 * | `end()` | `[255, channel]` | nothing on the wire: the protocol cannot say it |
 * | `destroy()` | the same, unless already said; what arrives later is discarded | what arrives later is discarded |
 *
 * Reading ends with `end` when the peer closed this channel (v5) or the whole WebSocket with 1000. When the connection
 * is lost, everything that had arrived is delivered first; then the stream fails with the session's error. Meanwhile
 * writes are dropped. When this side closes the session, channels that had not ended are destroyed without an error.
 */
export class ChannelStream extends ReceivingDuplex {
  readonly channel: number;
  readonly #owner: ChannelOwner;

  constructor(channel: number, directions: ChannelDirections, owner: ChannelOwner) {
    super({ ...directions, allowHalfOpen: true });
    this.channel = channel;
    this.#owner = owner;
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#owner.write(this.channel, bytes, done);
  }

  override _final(done: () => void): void {
    this.#owner.endWriting(this.channel, done);
  }

  override _destroy(cause: Error | null, done: (error?: Error | null) => void): void {
    if (!this.writableFinished) this.#owner.endWriting(this.channel, () => {});
    super._destroy(cause, done);
  }

  protected override taken(): void {
    this.#owner.taken();
  }
}
