import { Duplex } from 'node:stream';
import { STREAM_BUFFER_BYTES } from '../connection.ts';
import { ByteQueue, ownBytes } from './byte-queue.ts';
import type { SpdyHeaders } from './header-block.ts';
import { mayRead, mayWrite, nextState, type StreamState } from './stream-state.ts';

type Done = (error?: Error | null) => void;

/** What a stream asks of its session. */
export interface StreamHost {
  /** Sends DATA; `done` runs when the socket has taken it or the connection is gone. */
  sendData(streamId: number, chunks: readonly Uint8Array[], done: () => void): void;
  sendFin(streamId: number, done: () => void): void;
  /** The stream is over for its user; `state` is what it was on the wire. */
  release(streamId: number, state: StreamState): void;
  /** The bytes held for slow readers beyond STREAM_BUFFER_BYTES of each stream changed by `bytes`. */
  overrun(bytes: number): void;
}

/** The reader's own buffer; what does not fit waits in a ByteQueue, where it costs less. */
const READER_BUFFER_BYTES = 16 * 1024;

/**
 * One SPDY stream as its user sees it: `end()` half-closes, `destroy()` resets.
 *
 * FIN, RST_STREAM, GOAWAY and the loss of the connection all end the readable side the same way: what arrived before
 * comes first, then a plain 'end'. So does Kubernetes, where a reset is the ordinary end of a session. What it was is
 * told by {@link resetByPeer} and by the session's `closed`.
 *
 * After anything but a FIN, writes succeed and go nowhere until the readable side has been read to its end; then, or at
 * the next write when nobody reads at all, the stream is destroyed, so that whatever is piped into it stops.
 *
 * @see wire.md 1.6
 */
export class SpdyStream extends Duplex {
  readonly id: number;
  /** The headers of its SYN_STREAM. */
  readonly headers: SpdyHeaders;
  readonly #host: StreamHost;
  readonly #waiting = new ByteQueue();
  #state: StreamState = 'open';
  #resetByPeer = false;
  #finByPeer = false;
  /** The reader's buffer has room. */
  #wanted = false;
  #lastByteArrived = false;
  #overrun = 0;

  /** For the session; users get streams from `openStream` and `IncomingStream.accept`. */
  constructor(id: number, headers: SpdyHeaders, host: StreamHost) {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: READER_BUFFER_BYTES,
      writableHighWaterMark: STREAM_BUFFER_BYTES,
    });
    this.id = id;
    this.headers = headers;
    this.#host = host;
    // A stream that nobody holds any more must not end the process with an unhandled 'error'.
    this.on('error', () => {});
  }

  /** True once the peer has given up this stream by RST_STREAM. */
  get resetByPeer(): boolean {
    return this.#resetByPeer;
  }

  /** True once the peer's FIN has arrived: what is read until 'end' is all that the peer had to say. */
  get finByPeer(): boolean {
    return this.#finByPeer;
  }

  /** Where the stream stands on the wire. */
  get state(): StreamState {
    return this.#state;
  }

  /** For the session: one piece of DATA, in order. Ignored once the peer has finished. */
  receive(bytes: Uint8Array, fin: boolean): void {
    if (!mayRead(this.#state) || this.destroyed) return;
    if (bytes.length > 0) {
      if (this.#wanted && this.#waiting.length === 0) this.#wanted = this.push(ownBytes(bytes));
      else this.#waiting.push(bytes);
    }
    if (fin) {
      this.#finByPeer = true;
      this.#end('gotFin');
    }
    this.#account();
  }

  /** For the session: the peer sent RST_STREAM. */
  receiveReset(): void {
    if (this.#state === 'closed' || this.destroyed) return;
    this.#resetByPeer = true;
    this.#giveUp();
  }

  /** For the session: nothing will arrive any more and nothing can be sent. */
  connectionEnded(): void {
    if (!this.destroyed) this.#giveUp();
  }

  /** For the session: resolves when all that was written before has been handed to it, or the stream is gone. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      if (this.destroyed || !mayWrite(this.#state) || this.writableFinished) resolve();
      else if (this.writableEnded) this.once('finish', resolve).once('close', resolve);
      else this.write(Buffer.alloc(0), () => resolve());
    });
  }

  /** Everybody who reads comes through here; `_read` is too early to see what was taken. */
  override read(size?: number): unknown {
    const bytes: unknown = super.read(size);
    this.#account();
    return bytes;
  }

  override _read(): void {
    this.#wanted = true;
    this.#drain();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#send([chunk], done);
  }

  override _writev(writes: readonly { readonly chunk: Buffer }[], done: Done): void {
    this.#send(
      writes.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: Done): void {
    if (!mayWrite(this.#state)) {
      done();
      return;
    }
    this.#move('sentFin');
    this.#host.sendFin(this.id, () => done());
  }

  override _destroy(cause: Error | null, done: Done): void {
    const state = this.#state;
    this.#state = 'closed';
    this.#waiting.clear();
    this.#account();
    this.#host.release(this.id, state);
    done(cause);
  }

  #send(chunks: readonly Uint8Array[], done: Done): void {
    const filled = chunks.filter((chunk) => chunk.length > 0);
    if (mayWrite(this.#state) && filled.length > 0) {
      this.#host.sendData(this.id, filled, () => done());
      return;
    }
    if (!mayWrite(this.#state) && this.#hasNoReader()) this.destroy();
    done();
  }

  /** Nothing is left to read and nobody has asked for it. */
  #hasNoReader(): boolean {
    const held = this.readableLength + this.#waiting.length;
    return held === 0 && this.readableFlowing === null && this.listenerCount('readable') === 0;
  }

  #giveUp(): void {
    this.#end('reset');
    if (this.readableEnded) this.destroy();
    else this.once('end', () => this.destroy());
  }

  #end(event: 'gotFin' | 'reset'): void {
    this.#move(event);
    if (this.#lastByteArrived) return;
    this.#lastByteArrived = true;
    this.#drain();
  }

  #move(event: 'sentFin' | 'gotFin' | 'reset'): void {
    const state = nextState(this.#state, event);
    if (state !== 'illegal') this.#state = state;
  }

  #drain(): void {
    while (this.#wanted && this.#waiting.length > 0) this.#wanted = this.push(this.#waiting.shift());
    if (this.#lastByteArrived && this.#waiting.length === 0) this.push(null);
  }

  #account(): void {
    const held = this.destroyed ? 0 : this.readableLength + this.#waiting.length;
    const overrun = Math.max(0, held - STREAM_BUFFER_BYTES);
    if (overrun === this.#overrun) return;
    const change = overrun - this.#overrun;
    this.#overrun = overrun;
    this.#host.overrun(change);
  }
}
