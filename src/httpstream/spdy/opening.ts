import { ExecPathError } from '../../common/errors.ts';
import type { SpdyStream } from './stream.ts';

export interface OpeningOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** The opener waits no longer, by deadline or by `signal`: the stream is to be reset. */
  readonly onGiveUp: () => void;
}

/**
 * A stream of ours between SYN_STREAM and the peer's SYN_REPLY or RST_STREAM.
 *
 *     waiting ─SYN_REPLY→ open · waiting ─RST_STREAM | deadline | abort | connection over→ failed
 */
export class Opening {
  readonly stream: SpdyStream;
  /** @throws ExecPathError ERR_STREAM_REFUSED, ERR_STREAM_TIMEOUT, ERR_ABORTED, or what {@link fail} was given */
  readonly replied: Promise<SpdyStream>;
  #settle: (outcome: SpdyStream | Error) => void = () => {};

  constructor(stream: SpdyStream, { timeoutMs, signal, onGiveUp }: OpeningOptions) {
    this.stream = stream;
    this.replied = new Promise((resolve, reject) => {
      const giveUp = (error: ExecPathError): void => {
        this.#settle(error);
        onGiveUp();
      };
      const onAbort = (): void =>
        giveUp(
          new ExecPathError('ERR_ABORTED', `the caller gave up opening stream ${stream.id}`, { cause: signal?.reason }),
        );
      const timer = setTimeout(
        () =>
          giveUp(
            new ExecPathError('ERR_STREAM_TIMEOUT', `stream ${stream.id} was not answered within ${timeoutMs} ms`),
          ),
        timeoutMs,
      ).unref();
      signal?.addEventListener('abort', onAbort);
      this.#settle = (outcome) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
    });
  }

  succeed(): void {
    this.#settle(this.stream);
  }

  fail(error: ExecPathError): void {
    this.#settle(error);
  }
}
