import { ExecPathError } from '../../common/errors.ts';

/** Pings of `ping()` that may wait for their echo at once. */
export const MAX_WAITING_PINGS = 64;

/**
 * How much DATA a peer may have unread before its silence proves nothing any more, in bytes and in frames.
 *
 * A Go peer stops reading, and so stops answering pings, once one stream's user takes no more: 50 frames in its queue and
 * one terminal's or pipe's worth of bytes, 4 KiB at least, are taken before that.
 */
const UNREAD_BYTES = 4096;
const UNREAD_FRAMES = 32;

/** Ping ids wrap here, back to the first of their parity. */
const MAX_PING_ID = 0x7fff_fffe;

export interface KeepaliveOptions {
  /** Clients use odd ids, servers even ones. */
  readonly role: 'client' | 'server';
  /** Time between pings that are sent unasked, 0 for none. */
  readonly intervalMs: number;
  /** Longest silence of the peer, 0 for no limit. */
  readonly timeoutMs: number;
  /** Longest wait of one `ping()`. */
  readonly pingTimeoutMs: number;
  readonly send: (id: number) => void;
  /** False while we do not read. */
  readonly isReading: () => boolean;
  /** False while the peer has yet to take what we wrote. */
  readonly isWritten: () => boolean;
  readonly onSilence: (error: ExecPathError) => void;
}

interface Waiting {
  readonly sentAt: number;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (roundTripMs: number) => void;
  readonly reject: (error: ExecPathError) => void;
}

/** How much DATA had been sent at some moment. */
interface Mark {
  readonly bytes: number;
  readonly frames: number;
}

/**
 * PING, both ways, and the deadline on the peer's silence.
 *
 * Silence is counted from the last byte of any kind, and only where bytes are due: on the side that pings, and on the
 * other side once it has seen a ping. It starts anew while it proves nothing: while reading or writing is blocked, while
 * the peer may be full of DATA that its user does not take, and when this process itself was stopped for a while. (A peer
 * that vanishes then is found by TCP: its kernel acknowledges nothing.)
 *
 * What the peer has read is known from pings, for they queue behind DATA: an echo of ours, or its next ping after our
 * echo.
 *
 * Owns: its timers, until `stop()`.
 */
export class Keepalive {
  readonly #options: KeepaliveOptions;
  readonly #waiting = new Map<number, Waiting>();
  readonly #parity: 0 | 1;
  #nextId: number;
  #heardAt = performance.now();
  #checkedAt = this.#heardAt;
  #pings: NodeJS.Timeout | undefined;
  #checks: NodeJS.Timeout | undefined;
  #look: NodeJS.Immediate | undefined;
  #stopped = false;
  #sent: Mark = { bytes: 0, frames: 0 };
  #confirmed: Mark = this.#sent;
  #probed: (Mark & { readonly id: number }) | undefined;
  #echoed: Mark = this.#sent;

  constructor(options: KeepaliveOptions) {
    this.#options = options;
    this.#parity = options.role === 'client' ? 1 : 0;
    this.#nextId = 2 - this.#parity;
    if (options.intervalMs > 0) {
      this.#pings = setInterval(() => this.probe(), options.intervalMs).unref();
      this.#watch();
    }
  }

  /** Bytes came from the peer, or they could not come until now. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  /** DATA was sent. */
  sentData(bytes: number, frames: number): void {
    this.#sent = { bytes: this.#sent.bytes + bytes, frames: this.#sent.frames + frames };
  }

  /** Sends a ping that nobody waits for, unless the peer has yet to take what was written before. */
  probe(): void {
    if (this.#stopped || !this.#options.isWritten()) return;
    const id = this.#takeId();
    this.#probed ??= { id, ...this.#sent };
    this.#options.send(id);
  }

  /**
   * Sends a ping and waits for its echo.
   *
   * @returns the round trip in ms
   * @throws ExecPathError ERR_KEEPALIVE_TIMEOUT, ERR_CONNECTION_LOST
   */
  ping(): Promise<number> {
    return new Promise((resolve, reject) => {
      const { pingTimeoutMs } = this.#options;
      if (this.#stopped) {
        reject(new ExecPathError('ERR_CONNECTION_LOST', 'the connection is over, it cannot be pinged'));
        return;
      }
      if (this.#waiting.size >= MAX_WAITING_PINGS) {
        reject(new ExecPathError('ERR_KEEPALIVE_TIMEOUT', `${MAX_WAITING_PINGS} pings already wait for their echo`));
        return;
      }
      const id = this.#takeId();
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new ExecPathError('ERR_KEEPALIVE_TIMEOUT', `ping ${id} was not answered within ${pingTimeoutMs} ms`));
      }, pingTimeoutMs).unref();
      this.#waiting.set(id, { sentAt: performance.now(), timer, resolve, reject });
      this.#options.send(id);
    });
  }

  /**
   * A PING frame came.
   *
   * @returns whether it is the peer's own and wants an echo; an echo that nobody waits for is dropped
   */
  received(id: number): boolean {
    if ((id & 1) !== this.#parity) {
      this.#confirmed = this.#echoed;
      this.#echoed = this.#sent;
      this.#watch();
      return true;
    }
    if (id === this.#probed?.id) {
      this.#confirmed = this.#probed;
      this.#probed = undefined;
    }
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) {
      this.#waiting.delete(id);
      clearTimeout(waiting.timer);
      waiting.resolve(performance.now() - waiting.sentAt);
    }
    return false;
  }

  stop(error: ExecPathError): void {
    this.#stopped = true;
    clearInterval(this.#pings);
    clearInterval(this.#checks);
    clearImmediate(this.#look);
    for (const { timer, reject } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
  }

  #takeId(): number {
    const id = this.#nextId;
    this.#nextId = id + 2 > MAX_PING_ID ? 2 - this.#parity : id + 2;
    return id;
  }

  /** From here on bytes are due from the peer. */
  #watch(): void {
    const { timeoutMs } = this.#options;
    if (this.#checks !== undefined || timeoutMs <= 0 || this.#stopped) return;
    this.#heardAt = this.#checkedAt = performance.now();
    // Behind the timers of this moment: a ping that was sent in the same breath is still on its way into the kernel, and
    // would count as a write that the peer does not take, each time when one period is a multiple of the other.
    const look = (): void => {
      this.#look = setImmediate(() => this.#check(timeoutMs));
    };
    this.#checks = setInterval(look, timeoutMs / 4).unref();
  }

  #check(timeoutMs: number): void {
    const now = performance.now();
    const stoppedForAWhile = now - this.#checkedAt > timeoutMs / 2;
    this.#checkedAt = now;
    if (stoppedForAWhile || !this.#isCounting()) this.#heardAt = now;
    else if (now - this.#heardAt >= timeoutMs) {
      this.#options.onSilence(
        new ExecPathError(
          'ERR_KEEPALIVE_TIMEOUT',
          `the peer sent nothing for ${timeoutMs} ms, not even an answer to a ping`,
        ),
      );
    }
  }
  #isCounting(): boolean {
    const isFull =
      this.#sent.bytes - this.#confirmed.bytes > UNREAD_BYTES ||
      this.#sent.frames - this.#confirmed.frames > UNREAD_FRAMES;
    return !isFull && this.#options.isReading() && this.#options.isWritten();
  }
}
