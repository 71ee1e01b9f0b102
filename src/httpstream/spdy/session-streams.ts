import { ExecPathError } from '../../common/errors.ts';
import { resetStatus } from './frame.ts';
import type { SpdyHeaders } from './header-block.ts';
import { type IncomingStream, PendingStream } from './incoming.ts';
import { Opening } from './opening.ts';
import type { Outbox } from './outbox.ts';
import { SpdyStream, type StreamHost } from './stream.ts';
import { mayWrite, type StreamState } from './stream-state.ts';
import { StreamTable } from './stream-table.ts';

export interface SessionStreamsOptions {
  readonly role: 'client' | 'server';
  readonly outbox: Outbox;
  /** Longest wait for the peer's answer to a stream of ours, and for a decision about one of its own, in ms. */
  readonly timeoutMs: number;
  readonly onStream: (incoming: IncomingStream) => void;
  /** What streams hold beyond their own bound changed by `bytes`. */
  readonly onOverrun: (bytes: number) => void;
}

/** The streams of one session, from SYN_STREAM to their end, and what the peer's frames mean for them. */
export class SessionStreams {
  readonly #options: SessionStreamsOptions;
  readonly #table: StreamTable;
  readonly #openings = new Map<number, Opening>();
  readonly #undecided = new Set<PendingStream>();
  readonly #host: StreamHost;

  constructor(options: SessionStreamsOptions) {
    this.#options = options;
    this.#table = new StreamTable(options.role);
    this.#host = {
      sendData: (id, chunks, done) => options.outbox.data(id, chunks, done),
      sendFin: (id, done) => options.outbox.fin(id, done),
      release: (id, state) => this.#release(id, state),
      overrun: options.onOverrun,
    };
  }

  /** Streams that are not yet over for their users. */
  get size(): number {
    return this.#table.size;
  }

  /** The highest id of the peer that was admitted, 0 for none. */
  get lastPeerId(): number {
    return this.#table.lastPeerId;
  }

  /** @throws ExecPathError ERR_HEADER_BLOCK; ERR_STREAM_REFUSED when ids are used up */
  open(headers: Readonly<Record<string, string>>, signal: AbortSignal | undefined): Promise<SpdyStream> {
    const id = this.#table.nextLocalId();
    this.#options.outbox.synStream(id, headers);
    const said: SpdyHeaders = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const stream = new SpdyStream(id, said, this.#host);
    this.#table.addLocal(stream);
    const opening = new Opening(stream, {
      timeoutMs: this.#options.timeoutMs,
      signal,
      onGiveUp: () => {
        this.#openings.delete(id);
        stream.destroy();
      },
    });
    this.#openings.set(id, opening);
    return opening.replied;
  }

  gotSynStream(id: number, headers: SpdyHeaders, fin: boolean): void {
    const { outbox, onStream, timeoutMs } = this.#options;
    const refusal = this.#table.admit(id, headers);
    if (refusal !== undefined) {
      outbox.rstStream(id, refusal);
      return;
    }
    const stream = new SpdyStream(id, headers, this.#host);
    this.#table.addRemote(stream);
    const pending = new PendingStream(stream, {
      timeoutMs,
      onAccept: () => {
        if (stream.state !== 'closed') outbox.synReply(id);
      },
      onDecided: () => this.#undecided.delete(pending),
    });
    this.#undecided.add(pending);
    if (fin) stream.receive(noBytes, true);
    onStream(pending);
  }

  gotSynReply(id: number, fin: boolean): void {
    const opening = this.#takeOpening(id);
    if (opening === undefined) return;
    if (fin) opening.stream.receive(noBytes, true);
    opening.succeed();
  }

  gotRstStream(id: number, status: number): void {
    this.#table.get(id)?.receiveReset();
    const opening = this.#takeOpening(id);
    const message = `the peer refused stream ${id} with RST_STREAM status ${status}`;
    opening?.fail(new ExecPathError('ERR_STREAM_REFUSED', message));
    // Nobody will ever read it.
    opening?.stream.destroy();
  }

  gotData(id: number, bytes: Uint8Array, fin: boolean): void {
    this.#table.get(id)?.receive(bytes, fin);
  }

  /** Resolves when all that streams were given so far has been taken by the socket, or has nowhere to go. */
  async flushed(): Promise<void> {
    await Promise.all(this.#table.all().map((stream) => stream.flushed()));
  }

  /** Says RST_STREAM for each stream that this side has not finished, as Kubernetes does before its GOAWAY. */
  resetUnfinished(): void {
    for (const { id, state } of this.#table.all()) {
      if (mayWrite(state)) this.#options.outbox.rstStream(id, resetStatus.CANCEL);
    }
  }

  /** The connection is over: whoever waits is told `error`, readers get what has arrived and then their end. */
  end(error: ExecPathError): void {
    for (const opening of this.#openings.values()) opening.fail(error);
    this.#openings.clear();
    for (const pending of this.#undecided) pending.reject();
    for (const stream of this.#table.all()) stream.connectionEnded();
    this.#table.clear();
  }

  /** The connection was given up: streams fail with `cause`. */
  destroy(cause: Error): void {
    for (const stream of this.#table.all()) stream.destroy(cause);
  }

  #release(id: number, state: StreamState): void {
    this.#table.remove(id);
    this.#takeOpening(id)?.fail(new ExecPathError('ERR_ABORTED', `stream ${id} was destroyed before it was open`));
    if (state !== 'closed') this.#options.outbox.rstStream(id, resetStatus.CANCEL);
  }

  #takeOpening(id: number): Opening | undefined {
    const opening = this.#openings.get(id);
    this.#openings.delete(id);
    return opening;
  }
}

const noBytes = new Uint8Array(0);
