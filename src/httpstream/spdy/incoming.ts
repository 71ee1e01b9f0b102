import { ExecPathError } from '../../common/errors.ts';
import type { SpdyHeaders } from './header-block.ts';
import type { SpdyStream } from './stream.ts';

/** A stream that the peer wants to open. Decide within the session's `streamTimeoutMs`, or it is rejected. */
export interface IncomingStream {
  readonly headers: SpdyHeaders;
  /**
   * Sends SYN_REPLY and gives the stream; what the peer has sent meanwhile is there. Twice is once.
   *
   * @throws ExecPathError ERR_STREAM_REFUSED when it was rejected before, by the deadline too
   */
  accept(): SpdyStream;
  /** Sends RST_STREAM 5 (CANCEL), as Kubernetes servers do. Nothing happens once it was accepted or rejected. */
  reject(): void;
}

export interface PendingStreamOptions {
  readonly timeoutMs: number;
  readonly onAccept: () => void;
  readonly onDecided: () => void;
}

/** The session's side of an IncomingStream: undecided → accepted | rejected. */
export class PendingStream implements IncomingStream {
  readonly #stream: SpdyStream;
  readonly #options: PendingStreamOptions;
  readonly #timer: NodeJS.Timeout;
  #state: 'undecided' | 'accepted' | 'rejected' = 'undecided';

  constructor(stream: SpdyStream, options: PendingStreamOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#timer = setTimeout(() => this.reject(), options.timeoutMs).unref();
  }

  get headers(): SpdyHeaders {
    return this.#stream.headers;
  }

  accept(): SpdyStream {
    if (this.#state === 'rejected') {
      throw new ExecPathError('ERR_STREAM_REFUSED', `stream ${this.#stream.id} was rejected before it was accepted`);
    }
    if (this.#state === 'undecided') {
      this.#decide('accepted');
      this.#options.onAccept();
    }
    return this.#stream;
  }

  reject(): void {
    if (this.#state !== 'undecided') return;
    this.#decide('rejected');
    this.#stream.destroy();
  }

  #decide(decision: 'accepted' | 'rejected'): void {
    clearTimeout(this.#timer);
    this.#state = decision;
    this.#options.onDecided();
  }
}
