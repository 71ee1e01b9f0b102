import type { Duplex } from 'node:stream';
import { CLOSE_LINGER_MAX_MS } from '../linger.ts';
import { Deadline } from './deadline.ts';

/**
 * How long a close of ours waits: until the peer gave no sign of life for a while, and no longer than
 * {@link CLOSE_LINGER_MAX_MS}.
 *
 * A peer whose PINGs arrive is still reading what lies before our Close; destroying the socket under it would cost it
 * the tail (wire.md 3.7).
 */
export class CloseWait {
  readonly #socket: Duplex;
  readonly #quiet: Deadline;
  readonly #max: Deadline;
  /** Bytes that waited in the socket when this last looked. */
  #pendingBytes = 0;

  constructor(socket: Duplex, options: { readonly quietMs: number; readonly expired: () => void }) {
    this.#socket = socket;
    this.#max = new Deadline(CLOSE_LINGER_MAX_MS, options.expired);
    this.#quiet = new Deadline(options.quietMs, () => {
      // A write side that still shrinks is a slow reader, not a dead one.
      if (socket.writableLength >= this.#pendingBytes) options.expired();
      else this.#look();
    });
  }

  start(): void {
    this.#max.start();
    this.#look();
  }

  /** The peer gave a sign of life. */
  touch(): void {
    this.#quiet.touch();
  }

  /** While the socket is not read, silence means nothing. */
  hold(held: boolean): void {
    this.#quiet.hold(held);
  }

  stop(): void {
    this.#max.stop();
    this.#quiet.stop();
  }

  #look(): void {
    this.#pendingBytes = this.#socket.writableLength;
    this.#quiet.start();
  }
}
