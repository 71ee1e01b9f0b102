import type { Duplex } from 'node:stream';

/**
 * What a client may send before its upgrade is answered, in bytes. Nobody does; more is left in the kernel, and then a
 * client that leaves is noticed later.
 */
const EARLY_BYTES = 64 * 1024;

/**
 * Notices that a client leaves while its upgrade is still being prepared: a socket that nobody reads tells nothing.
 *
 * A FIN counts as leaving: nobody half-closes a connection on which a command is to run.
 *
 * Owns: the reading of the socket, until `stop()`.
 */
export class ClientWatch {
  readonly #socket: Duplex;
  readonly #left = new AbortController();
  readonly #early: Buffer[] = [];
  #earlyBytes = 0;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket
      .on('data', this.#onData)
      .once('end', this.#leave)
      .once('close', this.#leave)
      .on('error', () => {});
    if (socket.destroyed || socket.readableEnded) this.#leave();
    else socket.resume();
  }

  /** Aborted when the client has left. */
  get signal(): AbortSignal {
    return this.#left.signal;
  }

  /** Hands the socket back, paused: whoever reads it next resumes it, and finds all that came meanwhile. Twice is once. */
  stop(): void {
    const socket = this.#socket;
    socket.off('data', this.#onData).off('end', this.#leave).off('close', this.#leave);
    socket.pause();
    const early = Buffer.concat(this.#early.splice(0));
    if (early.length > 0 && !socket.readableEnded && !socket.destroyed) socket.unshift(early);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes >= EARLY_BYTES) this.#socket.pause();
  };

  readonly #leave = (): void => this.#left.abort();
}
