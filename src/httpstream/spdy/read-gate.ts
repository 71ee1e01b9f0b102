import type { Duplex } from 'node:stream';

/**
 * Bytes that one session holds for slow readers, all streams together, beyond STREAM_BUFFER_BYTES for each.
 *
 * SPDY here has no flow control: only TCP can brake the peer, for all streams at once, and PINGs stand in the same queue.
 * Reading on for this much lets small frames pass while one reader lags: pings are answered and other streams move as
 * long as the peer has not sent more than this to those that nobody reads. Then everything stops until they are read.
 */
export const SESSION_OVERRUN_BYTES = 1024 * 1024;

/** Bytes of answers (PING, RST_STREAM, SYN_REPLY) that wait for a peer that does not read. */
export const REPLY_BACKLOG_BYTES = 64 * 1024;

/** How often a peer that we do not read is probed, in ms: a write is the only way to learn that it is gone. */
export const PROBE_INTERVAL_MS = 5_000;

export interface ReadGateOptions {
  /** Send something small. */
  readonly onProbe: () => void;
  readonly onOpen: () => void;
}

/**
 * Decides when the socket is read: shut at either bound, open again at half of it.
 *
 * Owns: the pause of the socket, and the probe timer while shut.
 */
export class ReadGate {
  readonly #socket: Duplex;
  readonly #options: ReadGateOptions;
  #overrun = 0;
  #replies = 0;
  #probe: NodeJS.Timeout | undefined;
  #released = false;

  constructor(socket: Duplex, options: ReadGateOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  get isShut(): boolean {
    return this.#probe !== undefined;
  }

  /** The sum of what streams hold beyond their own bound changed by `bytes`. */
  overrun(bytes: number): void {
    this.#overrun += bytes;
    this.#update();
  }

  /** @param bytes of answers that the peer has not taken */
  repliesWaiting(bytes: number): void {
    this.#replies = bytes;
    this.#update();
  }

  /** From here on the socket belongs to somebody else. */
  release(): void {
    this.#released = true;
    clearInterval(this.#probe);
    this.#probe = undefined;
  }

  #update(): void {
    if (this.#released) return;
    if (this.isShut) {
      if (this.#overrun * 2 <= SESSION_OVERRUN_BYTES && this.#replies * 2 <= REPLY_BACKLOG_BYTES) this.#open();
    } else if (this.#overrun >= SESSION_OVERRUN_BYTES || this.#replies >= REPLY_BACKLOG_BYTES) this.#shut();
  }

  #shut(): void {
    this.#probe = setInterval(this.#options.onProbe, PROBE_INTERVAL_MS).unref();
    this.#socket.pause();
  }

  #open(): void {
    clearInterval(this.#probe);
    this.#probe = undefined;
    this.#options.onOpen();
    this.#socket.resume();
  }
}
