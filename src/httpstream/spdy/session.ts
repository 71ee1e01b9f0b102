import { channel } from 'node:diagnostics_channel';
import type { Duplex } from 'node:stream';
import { ExecPathError, ProtocolError, toError } from '../../common/errors.ts';
import { CLOSE_LINGER_MS, type CloseReason, type Connection } from '../connection.ts';
import { lingerAndDestroy } from '../linger.ts';
import { FrameDecoder } from './decoder.ts';
import { FrameEncoder } from './encoder.ts';
import { type Frame, goAwayStatus, resetStatus } from './frame.ts';
import type { SpdyHeaders } from './header-block.ts';
import { IdleTimer } from './idle-timer.ts';
import { PendingStream } from './incoming.ts';
import { Keepalive } from './keepalive.ts';
import { Opening } from './opening.ts';
import { splitPayload } from './payload.ts';
import { ReadGate } from './read-gate.ts';
import type { SpdySessionOptions } from './session-options.ts';
import { SpdyStream, type StreamHost } from './stream.ts';
import { mayWrite, type StreamState } from './stream-state.ts';
import { StreamTable } from './stream-table.ts';
import { FrameWriter } from './writer.ts';

/** Every frame, in and out: `{ role, direction, frame }`. Costs nothing without subscribers. */
const frames = channel('exec:spdy:frame');

/**
 * SPDY/3.1 as Kubernetes uses it, either end, on any Duplex: TCP, TLS, a tunnel.
 *
 *     open ─close()→ flushing ─all taken→ leaving ─peer's EOF | linger→ gone
 *     open | flushing ─GOAWAY in | broken frame | idle→ leaving · any ─EOF | error | silence | destroy()→ gone
 *
 * There is no flow control: what is written leaves, and a slow reader is braked by not reading the socket. See
 * {@link ReadGate} for what that means for the other streams and for pings.
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
  readonly #streamTimeoutMs: number;
  readonly #decoder = new FrameDecoder();
  readonly #encoder = new FrameEncoder();
  readonly #table: StreamTable;
  readonly #openings = new Map<number, Opening>();
  readonly #undecided = new Set<PendingStream>();
  readonly #writer: FrameWriter;
  readonly #gate: ReadGate;
  readonly #keepalive: Keepalive;
  readonly #idle: IdleTimer;
  readonly #host: StreamHost;
  #phase: 'open' | 'flushing' | 'leaving' | 'gone' = 'open';
  #heardFirst = false;
  #closing: Promise<void> | undefined;
  #settleClosed: (reason: CloseReason) => void = () => {};
  #onTaken: (() => void) | undefined;

  /** Takes over `socket`; I/O begins with the next tick. */
  constructor(socket: Duplex, options: SpdySessionOptions) {
    this.role = options.role;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.#socket = socket;
    this.#options = options;
    this.#streamTimeoutMs = options.streamTimeoutMs ?? 30_000;
    this.#table = new StreamTable(options.role);
    this.#writer = new FrameWriter(socket, () => {
      this.#gate.repliesWaiting(this.#writer.replyBytes);
      this.#onTaken?.();
    });
    this.#keepalive = new Keepalive({
      role: options.role,
      intervalMs: options.pingIntervalMs ?? (options.role === 'client' ? 5_000 : 0),
      timeoutMs: options.keepaliveTimeoutMs ?? 60_000,
      pingTimeoutMs: this.#streamTimeoutMs,
      send: (id) => this.#sendPing(id),
      isReading: () => !this.#gate.isShut,
      isWritten: () => this.#writer.idle,
      onSilence: (error) => this.#lose(error),
    });
    this.#gate = new ReadGate(socket, {
      onProbe: () => this.#keepalive.probe(),
      onOpen: () => this.#keepalive.heard(),
    });
    this.#idle = new IdleTimer(options.idleTimeoutMs ?? 0, () => {
      const error = new ExecPathError('ERR_IDLE_TIMEOUT', `no data passed for ${options.idleTimeoutMs} ms`);
      this.#leave({ kind: 'lost', error }, goAwayStatus.OK, 'reset streams');
    });
    this.#host = {
      sendData: (id, chunks, done) => this.#sendData(id, chunks, done),
      sendFin: (id, done) => this.#send('DATA', id, [this.#encoder.dataHead(id, 0, true)], done),
      release: (id, state) => this.#release(id, state),
      overrun: (bytes) => this.#gate.overrun(bytes),
    };
    socket.on('error', this.#onError).on('close', this.#onClose);
    if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay(true);
    process.nextTick(() => this.#start());
  }

  /** Streams that are not yet over for their users, ours and the peer's. */
  get streamCount(): number {
    return this.#table.size;
  }

  /**
   * Opens a stream and waits for the peer's SYN_REPLY.
   *
   * @throws ExecPathError ERR_STREAM_REFUSED by RST_STREAM; ERR_STREAM_TIMEOUT; ERR_ABORTED; ERR_CONNECTION_LOST when the
   *   connection is over or ends meanwhile; ERR_HEADER_BLOCK for headers that SPDY cannot say
   */
  async openStream(
    headers: Readonly<Record<string, string>>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<SpdyStream> {
    if (options.signal?.aborted) {
      throw new ExecPathError('ERR_ABORTED', 'the caller gave up before the stream was opened', {
        cause: options.signal.reason,
      });
    }
    if (this.#phase !== 'open') throw connectionOver('no stream can be opened on it');
    if (!this.#mayWrite) {
      throw new ExecPathError('ERR_STREAM_REFUSED', 'a server opens no stream before it has heard from the client');
    }
    const id = this.#table.nextLocalId();
    const frame = this.#encoder.synStream(id, headers);
    const said: SpdyHeaders = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const stream = new SpdyStream(id, said, this.#host);
    this.#table.addLocal(stream);
    const opening = new Opening(stream, {
      timeoutMs: this.#streamTimeoutMs,
      signal: options.signal,
      onGiveUp: () => {
        this.#openings.delete(id);
        stream.destroy();
      },
    });
    this.#openings.set(id, opening);
    this.#send('SYN_STREAM', id, [frame]);
    return opening.replied;
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
    const error =
      cause instanceof ExecPathError
        ? cause
        : new ExecPathError('ERR_ABORTED', `the connection was given up: ${cause?.message ?? 'no reason given'}`, {
            cause,
          });
    this.#phase = 'gone';
    for (const stream of this.#table.all()) stream.destroy(cause ?? error);
    this.#finish({ kind: 'lost', error });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- In ----

  #start(): void {
    if (this.#isOver) return;
    if (this.#socket.destroyed || this.#socket.readableEnded) {
      this.#onEnd();
      return;
    }
    if (this.#options.head !== undefined && this.#options.head.length > 0) this.#onData(this.#options.head);
    if (!this.#isOver) this.#socket.on('data', this.#onData).on('end', this.#onEnd);
    if (!this.#isOver && !this.#gate.isShut) this.#socket.resume();
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#isOver) return;
    this.#heardFirst = true;
    this.#keepalive.heard();
    try {
      for (const frame of this.#decoder.push(chunk)) {
        if (frames.hasSubscribers) frames.publish({ role: this.role, direction: 'in', frame });
        this.#receive(frame);
        if (this.#isOver) break;
      }
    } catch (thrown) {
      const cause = toError(thrown);
      const error =
        cause instanceof ExecPathError ? cause : new ExecPathError('ERR_INTERNAL', cause.message, { cause });
      const status = error instanceof ProtocolError ? goAwayStatus.PROTOCOL_ERROR : goAwayStatus.INTERNAL_ERROR;
      this.#leave({ kind: 'lost', error }, status);
    }
    this.#gate.repliesWaiting(this.#writer.replyBytes);
  };

  #receive(frame: Frame): void {
    switch (frame.type) {
      case 'DATA':
        this.#active();
        this.#table.get(frame.streamId)?.receive(frame.bytes, frame.fin);
        return;
      case 'SYN_STREAM':
        this.#receiveSynStream(frame.streamId, frame.headers, frame.fin);
        return;
      case 'SYN_REPLY': {
        const opening = this.#takeOpening(frame.streamId);
        if (opening === undefined) return;
        if (frame.fin) opening.stream.receive(noBytes, true);
        opening.succeed();
        return;
      }
      case 'RST_STREAM': {
        const refused = `the peer refused stream ${frame.streamId} with RST_STREAM status ${frame.status}`;
        const opening = this.#takeOpening(frame.streamId);
        this.#table.get(frame.streamId)?.receiveReset();
        opening?.fail(new ExecPathError('ERR_STREAM_REFUSED', refused));
        // Nobody will ever read it.
        opening?.stream.destroy();
        return;
      }
      case 'PING':
        if (this.#keepalive.received(frame.id)) this.#reply('PING', frame.id, this.#encoder.ping(frame.id));
        return;
      case 'GOAWAY':
        this.#receiveGoAway(frame.status);
        return;
      case 'HEADERS':
      case 'SETTINGS':
      case 'WINDOW_UPDATE':
    }
  }

  #receiveSynStream(id: number, headers: SpdyHeaders, fin: boolean): void {
    const refusal = this.#table.refusalOf(id, headers);
    if (refusal !== undefined) {
      this.#reply('RST_STREAM', id, this.#encoder.rstStream(id, refusal));
      return;
    }
    const { onStream } = this.#options;
    const stream = new SpdyStream(id, headers, this.#host);
    this.#table.addRemote(stream);
    const pending = new PendingStream(stream, {
      timeoutMs: this.#streamTimeoutMs,
      onAccept: () => {
        if (!this.#isOver && stream.state !== 'closed') this.#reply('SYN_REPLY', id, this.#encoder.synReply(id));
      },
      onDecided: () => this.#undecided.delete(pending),
    });
    this.#undecided.add(pending);
    if (fin) stream.receive(noBytes, true);
    if (onStream === undefined || this.#phase !== 'open') pending.reject();
    else onStream(pending);
  }

  /** Nothing is read after a GOAWAY: it is the last frame of its direction. */
  #receiveGoAway(status: number): void {
    if (status === goAwayStatus.OK) {
      this.#leave({ kind: 'clean', by: 'remote' }, goAwayStatus.OK);
      return;
    }
    const error = new ExecPathError(
      'ERR_CONNECTION_LOST',
      `the peer ended the connection with GOAWAY status ${status}`,
    );
    this.#leave({ kind: 'lost', error }, goAwayStatus.OK);
  }

  readonly #onEnd = (): void => {
    const where = this.#decoder.idle ? 'without a GOAWAY' : 'in the middle of a frame';
    this.#lose(new ExecPathError('ERR_CONNECTION_LOST', `the connection ended ${where}`));
  };

  readonly #onError = (cause: Error): void => {
    this.#lose(new ExecPathError('ERR_CONNECTION_LOST', `the connection was lost: ${cause.message}`, { cause }));
  };

  readonly #onClose = (): void => {
    this.#lose(new ExecPathError('ERR_CONNECTION_LOST', 'the connection was closed without a GOAWAY'));
  };

  // ---- Out ----

  get #mayWrite(): boolean {
    return !this.#isOver && (this.role === 'client' || this.#heardFirst);
  }

  #send(type: Frame['type'], id: number, pieces: readonly Uint8Array[], done?: () => void): void {
    if (frames.hasSubscribers) frames.publish({ role: this.role, direction: 'out', frame: { type, id } });
    this.#writer.send(pieces, done);
  }

  #reply(type: Frame['type'], id: number, frame: Uint8Array): void {
    if (frames.hasSubscribers) frames.publish({ role: this.role, direction: 'out', frame: { type, id } });
    this.#writer.reply(frame);
  }

  #sendPing(id: number): void {
    if (this.#mayWrite) this.#send('PING', id, [this.#encoder.ping(id)]);
  }

  #sendData(id: number, chunks: readonly Uint8Array[], done: () => void): void {
    const groups = splitPayload(chunks);
    groups.forEach((group, index) => {
      const length = group.reduce((sum, piece) => sum + piece.length, 0);
      this.#active();
      this.#keepalive.sentData(length);
      this.#send(
        'DATA',
        id,
        [this.#encoder.dataHead(id, length), ...group],
        index === groups.length - 1 ? done : undefined,
      );
    });
  }

  #active(): void {
    this.#idle.touch();
    this.#options.onActivity?.();
  }

  #release(id: number, state: StreamState): void {
    this.#table.remove(id);
    this.#takeOpening(id)?.fail(new ExecPathError('ERR_ABORTED', `stream ${id} was destroyed before it was open`));
    if (state !== 'closed' && this.#mayWrite) {
      this.#reply('RST_STREAM', id, this.#encoder.rstStream(id, resetStatus.CANCEL));
    }
  }

  #takeOpening(id: number): Opening | undefined {
    const opening = this.#openings.get(id);
    this.#openings.delete(id);
    return opening;
  }
  // ---- The end ----

  get #isOver(): boolean {
    return this.#phase === 'leaving' || this.#phase === 'gone';
  }

  async #closeGracefully(): Promise<void> {
    if (this.#phase === 'open') {
      this.#phase = 'flushing';
      await this.#flushStreams();
      this.#leave({ kind: 'clean', by: 'local' }, goAwayStatus.OK, 'reset streams');
    }
    await this.closed;
  }

  /** Until the socket has taken all that streams were given, or nothing was taken for CLOSE_LINGER_MS. */
  #flushStreams(): Promise<void> {
    return new Promise((resolve) => {
      const stalled = setTimeout(() => {
        this.#lose(tookNothing());
        resolve();
      }, CLOSE_LINGER_MS).unref();
      this.#onTaken = () => stalled.refresh();
      void Promise.all(this.#table.all().map((stream) => stream.flushed())).then(() => {
        clearTimeout(stalled);
        this.#onTaken = undefined;
        resolve();
      });
    });
  }

  /** Says what there is to say, shuts the write side down and waits for the peer to do the same. */
  #leave(reason: CloseReason, status: number, resets?: 'reset streams'): void {
    if (this.#isOver) return;
    if (this.#mayWrite) {
      const unfinished = resets === undefined ? [] : this.#table.all().filter(({ state }) => mayWrite(state));
      for (const { id } of unfinished) {
        this.#send('RST_STREAM', id, [this.#encoder.rstStream(id, resetStatus.CANCEL)]);
      }
      this.#send('GOAWAY', 0, [this.#encoder.goAway(this.#table.lastPeerId, status)]);
    }
    this.#phase = 'leaving';
    this.#stop(reason);
    this.#writer.flush();
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    void lingerAndDestroy(this.#socket).then((flushed) => {
      const local = reason.kind === 'clean' && reason.by === 'local';
      this.#finish(local && !flushed ? { kind: 'lost', error: tookNothing() } : reason);
    });
  }

  /** The connection is of no more use: nothing can be said. */
  #lose(error: ExecPathError): void {
    if (this.#isOver) return;
    this.#phase = 'gone';
    this.#finish({ kind: 'lost', error });
  }

  #finish(reason: CloseReason): void {
    this.#phase = 'gone';
    this.#stop(reason);
    this.#writer.abandon();
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    this.#socket.destroy();
    this.#settleClosed(reason);
  }

  /** Ends everything but the socket. */
  #stop(reason: CloseReason): void {
    const error = reason.kind === 'lost' ? reason.error : connectionOver('it was closed');
    this.#idle.stop();
    this.#gate.release();
    this.#keepalive.stop(error);
    for (const opening of this.#openings.values()) opening.fail(error);
    this.#openings.clear();
    for (const pending of this.#undecided) pending.reject();
    for (const stream of this.#table.all()) stream.connectionEnded();
    this.#table.clear();
  }
}

const noBytes = new Uint8Array(0);

function connectionOver(what: string): ExecPathError {
  return new ExecPathError('ERR_CONNECTION_LOST', `the connection is over: ${what}`);
}

function tookNothing(): ExecPathError {
  return new ExecPathError(
    'ERR_CONNECTION_LOST',
    `the peer did not take the end of what was sent to it before the connection closed`,
  );
}
