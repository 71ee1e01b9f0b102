import type { Duplex } from 'node:stream';
import { ExecPathError, ProtocolError } from '../../common/errors.ts';
import { CLOSE_LINGER_MS, type CloseReason, type Connection } from '../connection.ts';
import { readOnAfterFailedWrite } from '../failed-write.ts';
import { lingerAndDestroy } from '../linger.ts';
import { FrameDecoder } from './decoder.ts';
import { connectionLost, frameFailure, reasonOfGoAway, tookNothing } from './endings.ts';
import { type Frame, goAwayStatus } from './frame.ts';
import { IdleTimer } from './idle-timer.ts';
import { Keepalive } from './keepalive.ts';
import { frameChannel, Outbox } from './outbox.ts';
import { Patience } from './patience.ts';
import { ReadGate } from './read-gate.ts';
import type { SpdySessionOptions } from './session-options.ts';
import { SessionStreams } from './session-streams.ts';
import type { SpdyStream } from './stream.ts';

/**
 * SPDY/3.1 as Kubernetes uses it, either end, on any Duplex: TCP, TLS, a tunnel.
 *
 *     open ─close()→ flushing ─all taken→ leaving ─peer's EOF | linger→ gone
 *     open | flushing ─GOAWAY in | broken frame | idle→ leaving
 *     open | flushing ─EOF | error | silence→ gone · any ─destroy()→ gone
 *
 * There is no flow control: what is written leaves, and a slow reader is braked by not reading the socket. See `ReadGate`
 * for what that means for the other streams and for pings.
 *
 * Owns: the socket and every stream. Holds at most STREAM_BUFFER_BYTES for each stream's reader, SESSION_OVERRUN_BYTES
 * for all of them together beyond that, and what one read of the socket brings.
 *
 * @see wire.md 1
 */
export class SpdySession implements Connection {
  readonly role: 'client' | 'server';
  readonly closed: Promise<CloseReason>;
  readonly #socket: Duplex;
  readonly #options: SpdySessionOptions;
  readonly #decoder = new FrameDecoder();
  readonly #outbox: Outbox;
  readonly #streams: SessionStreams;
  readonly #gate: ReadGate;
  readonly #keepalive: Keepalive;
  readonly #idle: IdleTimer;
  readonly #flushing = new Patience(CLOSE_LINGER_MS);
  #phase: 'open' | 'flushing' | 'leaving' | 'gone' = 'open';
  #closing: Promise<void> | undefined;
  #settleClosed: (reason: CloseReason) => void = () => {};

  /** Takes over `socket`; I/O begins with the next tick. */
  constructor(socket: Duplex, options: SpdySessionOptions) {
    const { role, streamTimeoutMs = 30_000, idleTimeoutMs = 0 } = options;
    this.role = role;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.#socket = socket;
    this.#options = options;
    this.#outbox = new Outbox(socket, {
      role,
      onTaken: () => {
        this.#gate.repliesWaiting(this.#outbox.replyBytes);
        this.#flushing.progress();
      },
      onData: (bytes, frames) => {
        this.#keepalive.sentData(bytes, frames);
        this.#active();
      },
    });
    this.#streams = new SessionStreams({
      role,
      outbox: this.#outbox,
      timeoutMs: streamTimeoutMs,
      onStream: (incoming) => {
        if (options.onStream === undefined || this.#phase !== 'open') incoming.reject();
        else options.onStream(incoming);
      },
      onOverrun: (bytes) => this.#gate.overrun(bytes),
    });
    this.#keepalive = new Keepalive({
      role,
      intervalMs: options.pingIntervalMs ?? (role === 'client' ? 5_000 : 0),
      timeoutMs: options.keepaliveTimeoutMs ?? 60_000,
      pingTimeoutMs: streamTimeoutMs,
      send: (id) => this.#outbox.ping(id),
      isReading: () => !this.#gate.isShut,
      isWritten: () => this.#outbox.idle,
      onSilence: (error) => this.#lose(error),
    });
    this.#gate = new ReadGate(socket, {
      onProbe: () => this.#keepalive.probe(),
      onOpen: () => this.#keepalive.heard(),
    });
    this.#idle = new IdleTimer(idleTimeoutMs, () => {
      this.#streams.resetUnfinished();
      const error = new ExecPathError('ERR_IDLE_TIMEOUT', `no data passed for ${idleTimeoutMs} ms`);
      this.#leave({ kind: 'lost', error }, goAwayStatus.OK);
    });
    if (role === 'client') readOnAfterFailedWrite(socket);
    socket.on('error', this.#onError).on('close', this.#onClose);
    if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay(true);
    process.nextTick(() => this.#start());
  }

  /** Streams that are not yet over for their users, ours and the peer's. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /**
   * Opens a stream and waits for the peer's SYN_REPLY.
   *
   * @throws ExecPathError ERR_STREAM_REFUSED by RST_STREAM; ERR_STREAM_TIMEOUT; ERR_ABORTED; ERR_CONNECTION_LOST when the
   *   connection is over or ends meanwhile; ERR_HEADER_BLOCK for headers that SPDY cannot say
   */
  async openStream(
    headers: Readonly<Record<string, string>>,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<SpdyStream> {
    if (signal?.aborted) {
      throw new ExecPathError('ERR_ABORTED', 'the caller gave up before the stream was opened', {
        cause: signal.reason,
      });
    }
    if (this.#phase !== 'open') throw connectionLost('is over: no stream can be opened on it');
    if (!this.#outbox.isOpen) {
      throw new ExecPathError('ERR_STREAM_REFUSED', 'a server opens no stream before it has heard from the client');
    }
    return this.#streams.open(headers, signal);
  }

  /**
   * Pings the peer.
   *
   * @returns the round trip in ms
   * @throws ExecPathError ERR_KEEPALIVE_TIMEOUT after `streamTimeoutMs`; ERR_CONNECTION_LOST
   */
  ping(): Promise<number> {
    return this.#keepalive.ping();
  }

  /**
   * Writes what streams were given, resets those that are unfinished, says GOAWAY, shuts the write side down and waits for
   * the peer to close. A peer that takes nothing for CLOSE_LINGER_MS is cut off; `closed` is `lost` then.
   */
  close(): Promise<void> {
    this.#closing ??= this.#closeGracefully();
    return this.#closing;
  }

  /** Says nothing: streams fail with `cause`, the socket is destroyed. */
  destroy(cause?: Error): void {
    if (this.#phase === 'gone') return;
    const message = `the connection was given up: ${cause?.message ?? 'no reason given'}`;
    const error = cause instanceof ExecPathError ? cause : new ExecPathError('ERR_ABORTED', message, { cause });
    this.#outbox.abandon();
    this.#streams.destroy(cause ?? error);
    this.#finish({ kind: 'lost', error });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #isOver(): boolean {
    return this.#phase === 'leaving' || this.#phase === 'gone';
  }

  #start(): void {
    if (this.#isOver) return;
    if (this.#socket.destroyed || this.#socket.readableEnded) {
      this.#onEnd();
      return;
    }
    const { head } = this.#options;
    if (head !== undefined && head.length > 0) this.#onData(head);
    if (this.#isOver) return;
    this.#socket.on('data', this.#onData).on('end', this.#onEnd);
    if (!this.#gate.isShut) this.#socket.resume();
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#isOver) return;
    if (!this.#outbox.isOpen) this.#outbox.open();
    this.#keepalive.heard();
    try {
      for (const frame of this.#decoder.push(chunk)) {
        if (frameChannel.hasSubscribers) frameChannel.publish({ role: this.role, direction: 'in', frame });
        this.#receive(frame);
        if (this.#isOver) return;
      }
    } catch (thrown) {
      const error = frameFailure(thrown);
      const status = error instanceof ProtocolError ? goAwayStatus.PROTOCOL_ERROR : goAwayStatus.INTERNAL_ERROR;
      this.#leave({ kind: 'lost', error }, status);
    }
    this.#gate.repliesWaiting(this.#outbox.replyBytes);
  };

  #receive(frame: Frame): void {
    switch (frame.type) {
      case 'DATA':
        this.#active();
        this.#streams.gotData(frame.streamId, frame.bytes, frame.fin);
        return;
      case 'SYN_STREAM':
        this.#streams.gotSynStream(frame.streamId, frame.headers, frame.fin);
        return;
      case 'SYN_REPLY':
        this.#streams.gotSynReply(frame.streamId, frame.fin);
        return;
      case 'RST_STREAM':
        this.#streams.gotRstStream(frame.streamId, frame.status);
        return;
      case 'PING':
        if (this.#keepalive.received(frame.id)) this.#outbox.echo(frame.id);
        return;
      case 'GOAWAY':
        // It is the last frame of its direction: nothing is read after it.
        this.#leave(reasonOfGoAway(frame.status), goAwayStatus.OK);
        return;
      // Nobody in the field acts on these.
      case 'HEADERS':
      case 'SETTINGS':
      case 'WINDOW_UPDATE':
    }
  }

  #active(): void {
    this.#idle.touch();
    this.#options.onActivity?.();
  }

  readonly #onEnd = (): void => {
    this.#lose(connectionLost(`ended ${this.#decoder.idle ? 'without a GOAWAY' : 'in the middle of a frame'}`));
  };

  readonly #onError = (cause: Error): void => this.#lose(connectionLost(`was lost: ${cause.message}`, cause));

  readonly #onClose = (): void => this.#lose(connectionLost('was closed without a GOAWAY'));

  async #closeGracefully(): Promise<void> {
    if (this.#phase === 'open') {
      this.#phase = 'flushing';
      if (!(await this.#flushing.wait(this.#streams.flushed()))) this.#lose(tookNothing());
      if (!this.#isOver) {
        this.#streams.resetUnfinished();
        this.#leave({ kind: 'clean', by: 'local' }, goAwayStatus.OK);
      }
    }
    await this.closed;
  }

  /** Says goodbye, shuts the write side down and waits for the peer to do the same. */
  #leave(reason: CloseReason, status: number): void {
    if (this.#isOver) return;
    this.#phase = 'leaving';
    this.#outbox.goAway(this.#streams.lastPeerId, status);
    this.#outbox.close();
    this.#stop(reason);
    void lingerAndDestroy(this.#socket).then((flushed) => {
      const isLocal = reason.kind === 'clean' && reason.by === 'local';
      this.#finish(isLocal && !flushed ? { kind: 'lost', error: tookNothing() } : reason);
    });
  }

  /** Nothing can be said any more. */
  #lose(error: ExecPathError): void {
    if (!this.#isOver) this.#finish({ kind: 'lost', error });
  }

  #finish(reason: CloseReason): void {
    if (this.#phase === 'gone') return;
    this.#phase = 'gone';
    this.#stop(reason);
    this.#outbox.abandon();
    this.#socket.destroy();
    this.#settleClosed(reason);
  }

  /** Ends everything but the socket. */
  #stop(reason: CloseReason): void {
    const error = reason.kind === 'lost' ? reason.error : connectionLost('was closed');
    this.#idle.stop();
    this.#gate.release();
    this.#keepalive.stop(error);
    this.#streams.end(error);
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
  }
}
