import { Socket } from 'node:net';
import { Writable } from 'node:stream';

/** Bytes that wait here for a slow process before `write` returns false; the pipe holds 64 KiB more. */
export const INPUT_BUFFER_BYTES = 64 * 1024;

/**
 * A process's stdin through a pipe: `end()` is EOF for it.
 *
 * A process that closed its stdin, or ended, is no error: what is written after that is thrown away.
 * Owns: the descriptor, closed after `end()` or by `destroy()`.
 */
export class PipeInput extends Writable {
  readonly #sink: Socket;
  readonly #isHeld: boolean;
  readonly #onEnd: () => void;
  #gone = false;
  #before: () => Promise<void> | undefined = () => undefined;

  /**
   * @param isHeld `end()` does not close the pipe; {@link abandon} does
   * @param onEnd called after `end()`, once everything has been written
   */
  constructor(fd: number, isHeld = false, onEnd: () => void = () => {}) {
    super({ highWaterMark: INPUT_BUFFER_BYTES, autoDestroy: !isHeld });
    this.#isHeld = isHeld;
    this.#onEnd = onEnd;
    this.#sink = new Socket({ fd, readable: false, writable: true });
    // EPIPE: nobody reads any more. The write in flight is told through its callback.
    this.#sink.on('error', () => {
      this.#gone = true;
    });
  }

  /** Asked before each write: what it gives is awaited, and must not reject. */
  writeBehind(before: () => Promise<void> | undefined): void {
    this.#before = before;
  }

  /** The process has ended: gives up the descriptor; the writer is not disturbed, its bytes are thrown away. */
  abandon(): void {
    this.#gone = true;
    this.#sink.destroy();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    const write = (): void => {
      if (this.#gone) done();
      else this.#sink.write(chunk, () => done());
    };
    const before = this.#before();
    if (before === undefined) write();
    else void before.then(write);
  }

  /** All writes have been taken by now; `Socket.end` would want shutdown(2), which pipes do not have. */
  override _final(done: () => void): void {
    const ended = (): void => {
      this.#onEnd();
      done();
    };
    if (this.#isHeld) ended();
    else this.#close(ended);
  }

  override _destroy(cause: Error | null, done: (error?: Error | null) => void): void {
    this.#close(() => done(cause));
  }

  #close(done: () => void): void {
    this.#gone = true;
    if (this.#sink.closed) done();
    else this.#sink.once('close', () => done()).destroy();
  }
}
