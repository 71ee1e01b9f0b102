import { Duplex } from 'node:stream';
import { STREAM_BUFFER_BYTES } from '../connection.ts';
import { Backlog } from './backlog.ts';

/** A view is handed to the reader when its chunk is at most so many times larger; else it is copied. */
const MAX_PINNED_RATIO = 16;

/**
 * A Duplex whose bytes are pushed into it by a connection, with an exact account of what is held for its reader.
 *
 * A reader that keeps up gets views of the received chunks, uncopied. Otherwise bytes go to a {@link Backlog}, and the
 * stream's own buffer holds one slice: hence the high-water mark of 1, which makes Node ask for more (`_read`) only while
 * that slice is being read. Who may fill the backlog how far is the connection's business.
 */
export abstract class ReceivingDuplex extends Duplex {
  readonly #backlog = new Backlog();
  #wanted = false;
  #ending: 'eof' | Error | undefined;

  constructor(options: { allowHalfOpen: boolean; readable?: boolean; writable?: boolean }) {
    super({ ...options, readableHighWaterMark: 1, writableHighWaterMark: STREAM_BUFFER_BYTES });
    // A loss is told to everybody; a stream that nobody listens to must not end the process.
    this.on('error', () => {});
  }

  /** Bytes held in the backlog. */
  get heldBytes(): number {
    return this.#backlog.length;
  }

  /** The connection hands over bytes, in order. Dropped after the end. */
  receive(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#ending !== undefined || this.destroyed) return;
    if (!this.#wanted || this.#backlog.length > 0) this.#backlog.append(bytes);
    else if (bytes.length * MAX_PINNED_RATIO < bytes.buffer.byteLength) this.#wanted = this.push(Buffer.from(bytes));
    else this.#wanted = this.push(bytes);
  }

  /** EOF behind what was received. */
  endReading(): void {
    if (this.#ending !== undefined || this.destroyed) return;
    this.#ending = 'eof';
    this.#deliver();
  }

  /**
   * The connection has ended well: EOF behind what was received, and no more writing once that is read. A reader that
   * gets no EOF to see (a stream of one direction) is done at once.
   */
  endBoth(): void {
    this.#destroyAfterEnd();
    this.endReading();
  }

  /** The connection is lost: `cause` behind what was received, at once when all of it has been read. EOF stays EOF. */
  failReading(cause: Error): void {
    if (this.#ending === 'eof') {
      this.#destroyAfterEnd(cause);
      return;
    }
    this.#ending = cause;
    this.#deliver();
    if (this.readableEnded || (this.#backlog.length === 0 && this.readableLength === 0)) this.destroy(cause);
  }

  override _read(): void {
    this.#wanted = true;
    this.#deliver();
  }

  override _destroy(cause: Error | null, done: (error?: Error | null) => void): void {
    const dropped = this.#backlog.clear();
    if (dropped > 0) this.taken();
    done(cause);
  }

  /** The backlog has become smaller. */
  protected taken(): void {}

  #destroyAfterEnd(cause?: Error): void {
    if (this.readableEnded) this.destroy(cause);
    else this.once('end', () => this.destroy(cause));
  }

  #deliver(): void {
    while (this.#wanted) {
      const block = this.#backlog.take();
      if (block === undefined) break;
      this.#wanted = this.push(block);
      this.taken();
    }
    if (this.#backlog.length > 0) return;
    if (this.#ending === 'eof') this.push(null);
    else if (this.#ending !== undefined && this.#wanted) {
      // Node asks for more inside the very `read()` that is about to return the last slice.
      const cause = this.#ending;
      process.nextTick(() => this.destroy(cause));
    }
  }
}
