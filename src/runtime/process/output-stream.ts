import { readSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { Readable } from 'node:stream';
import { ReadStream } from 'node:tty';

/** Bytes that wait here for a slow reader; the kernel holds 64 KiB more, then the process itself waits. */
const OUTPUT_BUFFER_BYTES = 64 * 1024;
/** One read: a full pipe is emptied in one call. */
const READ_BYTES = 64 * 1024;
/** What {@link OutputStream.detach} reads at most: as much as Linux lets a pipe grow for an ordinary user. */
const DETACH_BYTES = 1024 * 1024;
/** Without an event to wait for, the terminal of an ended process is looked at after 10 ms, then twice that, … */
const FIRST_LOOK_MS = 10;
const LONGEST_LOOK_MS = 160;

/** All read into this one, for each takes a copy of its bytes before the next can read: an idle stream holds no memory. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

type Mode = 'events' | 'looking' | 'ended';

/**
 * What a process writes, from the non-blocking descriptor of a pipe or of a terminal's master.
 *
 * ```
 * events ─EOF→ ended · events ─{@link lookOn}→ looking ─EOF or EIO→ ended · events, looking ─{@link detach}→ ended
 * ```
 * Owns: the descriptor, closed as soon as everything has been read, or by `destroy()`.
 */
export class OutputStream extends Readable {
  readonly #fd: number;
  readonly #source: Socket;
  readonly #beforeClose: () => void;
  #mode: Mode = 'events';
  /** Resolves when the descriptor is given up; the last bytes may still wait here for their reader. */
  readonly finished: Promise<void>;
  #resolveFinished: () => void = () => {};
  #wanted = false;
  #onQuiet: (() => void) | undefined;
  #lookMs = FIRST_LOOK_MS;
  #timer: NodeJS.Timeout | undefined;

  /** @param beforeClose runs once, just before the descriptor is closed */
  constructor(fd: number, kind: 'pipe' | 'terminal', beforeClose: () => void = () => {}) {
    super({ highWaterMark: OUTPUT_BUFFER_BYTES });
    this.#fd = fd;
    this.#beforeClose = beforeClose;
    this.finished = new Promise((resolve) => {
      this.#resolveFinished = resolve;
    });
    // `onread` keeps no bytes inside the socket: what is not here is still in the kernel, where readSync finds it.
    // Node's constructors have always taken it; their types do not say so before Node 22.
    const onread: OnReadOpts = {
      buffer: readBuffer,
      callback: (bytes) => this.#onRead(bytes),
    };
    const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = {
      readable: true,
      writable: false,
      onread,
    };
    this.#source = kind === 'pipe' ? new Socket({ fd, ...options }) : new ReadStream(fd, options);
    this.#source.pause();
    this.#source.on('end', () => this.#finish());
    // EIO is how a master says that the last slave is closed; other errors end the output just as well.
    this.#source.on('error', () => this.#finish());
  }

  /**
   * For terminals, once the process has exited: reads on without waiting for events, because libuv takes the hang-up
   * of the last slave for the end of data and drops what is left.
   *
   * @param onQuiet called at the first moment with nothing more to read, that is after all that the process wrote
   */
  lookOn(onQuiet: () => void): void {
    this.#onQuiet = onQuiet;
    if (this.#mode !== 'events') {
      this.#quiet();
      return;
    }
    this.#mode = 'looking';
    this.#source.pause();
    if (this.#wanted) this.#look();
  }

  /** Gives up the descriptor: what is in it by now still comes out, then `end`, though others may go on writing. */
  detach(): void {
    if (this.#mode === 'ended' || this.destroyed) return;
    this.#source.pause();
    for (let bytes = 0; bytes < DETACH_BYTES; ) {
      const chunk = this.#readNow();
      if (typeof chunk === 'string') break;
      bytes += chunk.length;
      this.push(chunk);
    }
    this.#finish();
  }

  override _read(): void {
    this.#wanted = true;
    if (this.#mode === 'events') this.#source.resume();
    else if (this.#mode === 'looking') this.#look();
  }

  override _destroy(cause: Error | null, done: (error?: Error | null) => void): void {
    this.#release();
    done(cause);
  }

  /** @returns whether to go on reading */
  #onRead(bytes: number): boolean {
    if (this.#mode === 'ended') return false;
    this.#give(Buffer.from(readBuffer.subarray(0, bytes)));
    return this.#wanted && this.#mode === 'events';
  }

  /** `_read` may be called while `push` runs, so the wish is taken back before it. */
  #give(chunk: Uint8Array): void {
    this.#wanted = false;
    if (this.push(chunk)) this.#wanted = true;
  }

  #look(): void {
    if (this.#timer !== undefined) return;
    while (this.#wanted && this.#mode === 'looking') {
      const chunk = this.#readNow();
      if (chunk === 'end') return this.#finish();
      if (chunk === 'nothing') {
        // The caller may close the last slave now, and then the very next read says so.
        if (this.#quiet()) continue;
        this.#timer = setTimeout(() => {
          this.#timer = undefined;
          this.#look();
        }, this.#lookMs).unref();
        this.#lookMs = Math.min(this.#lookMs * 2, LONGEST_LOOK_MS);
        return;
      }
      this.#lookMs = FIRST_LOOK_MS;
      this.#give(chunk);
    }
  }

  #readNow(): Uint8Array | 'nothing' | 'end' {
    try {
      const bytes = readSync(this.#fd, readBuffer);
      return bytes === 0 ? 'end' : Buffer.from(readBuffer.subarray(0, bytes));
    } catch (thrown) {
      return (thrown as NodeJS.ErrnoException).code === 'EAGAIN' ? 'nothing' : 'end';
    }
  }

  /** @returns whether there was somebody to tell */
  #quiet(): boolean {
    const onQuiet = this.#onQuiet;
    this.#onQuiet = undefined;
    onQuiet?.();
    return onQuiet !== undefined;
  }

  #finish(): void {
    if (this.#mode === 'ended') return;
    this.#release();
    if (!this.destroyed) this.push(null);
  }

  #release(): void {
    if (this.#mode === 'ended') return;
    this.#mode = 'ended';
    clearTimeout(this.#timer);
    this.#quiet();
    this.#beforeClose();
    this.#source.destroy();
    this.#resolveFinished();
  }
}
