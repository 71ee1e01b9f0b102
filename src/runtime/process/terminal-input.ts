import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { INPUT_BUFFER_BYTES } from './pipe-input.ts';

/** A full terminal (4095 bytes) is tried again after 1 ms, then 2, 4 … 64: it cannot be waited for. */
const FIRST_RETRY_MS = 1;
const LONGEST_RETRY_MS = 64;

/**
 * A process's terminal, from the keyboard's side. `end()` types nothing: whether that is ^D is the caller's to say.
 *
 * libuv would write to a master in blocking mode and stop the whole program on a process that does not read, so
 * bytes go by write(2) on the non-blocking descriptor, a bounded queue behind them.
 * Owns: its timer. The descriptor belongs to the terminal, which calls {@link TerminalInput.abandon} before closing it.
 */
export class TerminalInput extends Writable {
  readonly #fd: number;
  #gone = false;
  #timer: NodeJS.Timeout | undefined;
  /** Of the write that waits for the timer. */
  #done: (() => void) | undefined;

  constructor(fd: number) {
    super({ highWaterMark: INPUT_BUFFER_BYTES });
    this.#fd = fd;
  }

  /** The terminal is about to be closed: its descriptor is not touched again, and what is typed is thrown away. */
  abandon(): void {
    this.#gone = true;
    clearTimeout(this.#timer);
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    this.#type(chunk, FIRST_RETRY_MS, done);
  }

  override _destroy(cause: Error | null, done: (error?: Error | null) => void): void {
    this.abandon();
    done(cause);
  }

  #type(chunk: Uint8Array, retryMs: number, done: () => void): void {
    if (this.#gone) return done();
    let written = 0;
    try {
      while (written < chunk.length) written += writeSync(this.#fd, chunk, written);
      return done();
    } catch (thrown) {
      // Nobody reads a terminal that is gone (EIO): what is typed there is lost, as on a real one.
      if ((thrown as NodeJS.ErrnoException).code !== 'EAGAIN') return done();
    }
    const wait = written > 0 ? FIRST_RETRY_MS : retryMs;
    this.#done = done;
    this.#timer = setTimeout(() => {
      this.#done = undefined;
      this.#type(chunk.subarray(written), Math.min(wait * 2, LONGEST_RETRY_MS), done);
    }, wait);
  }
}
