import { channel } from 'node:diagnostics_channel';
import type { Duplex } from 'node:stream';
import { ExecPathError, toError } from '../../common/errors.ts';
import { CLOSE_LINGER_MS, type CloseReason } from '../connection.ts';
import { readOnAfterFailedWrite } from '../failed-write.ts';
import { lingerAndDestroy } from '../linger.ts';
import { closeCodeOf, isGoodbye, lost } from './close-reason.ts';
import { CloseWait } from './close-wait.ts';
import { Deadline } from './deadline.ts';
import { FrameDecoder } from './decoder.ts';
import { closePayload } from './encoder.ts';
import { closeCodes, closeCodeText, type DataPiece, type FrameEvent, type MessageOpcode, opcodes } from './frame.ts';
import { Keepalive, type KeepaliveOptions } from './keepalive.ts';
import { setTcpOptions } from './tcp-options.ts';
import { FrameWriter } from './writer.ts';

/** A socket that broke a rule is read and discarded for so long, in ms, so that the peer can read the Close frame. */
const FAILURE_LINGER_MS = 1000;

const frames = channel('exec:websocket:frame');

export interface LinkOptions extends KeepaliveOptions {
  /** Bytes that arrived with the handshake. */
  readonly head?: Uint8Array;
  /** The longest message that is received, in bytes. Default: no limit, nothing is assembled. */
  readonly maxMessageBytes?: number;
  /** Without a data message in either direction for so long, in ms, the connection is lost; PINGs do not count. Default 0: off. */
  readonly idleTimeoutMs?: number;
  /** How long a graceful close waits for a sign of life of the peer. Default {@link CLOSE_LINGER_MS}. */
  readonly closeLingerMs?: number;
}

/** Who uses the link. Both methods are called from socket events. */
export interface LinkReceiver {
  /** @throws ProtocolError to end the connection with it */
  receive(piece: DataPiece): void;
  /** Once; nothing is received after it. */
  ended(reason: CloseReason): void;
}

type LinkState = 'open' | 'closing' | 'ended';

/**
 * One WebSocket after its handshake: frames out, pieces of messages in, pings, the closing handshake. Knows no channels.
 *
 * ```
 * open ─close()→ closing ─Close or EOF from the peer, or a deadline→ ended
 * open ─Close from the peer (answered), EOF, a broken rule, a deadline, destroy()→ ended
 * ```
 *
 * `ended` means that the reason is known; the socket goes after a linger, at once with `destroy()`.
 *
 * Owns: the socket, its listeners, all timers.
 */
export class WebSocketLink {
  readonly closed: Promise<CloseReason>;
  readonly #socket: Duplex;
  readonly #role: 'client' | 'server';
  readonly #receiver: LinkReceiver;
  readonly #decoder: FrameDecoder;
  readonly #writer: FrameWriter;
  readonly #keepalive: Keepalive;
  readonly #idle: Deadline;
  readonly #closeWait: CloseWait;
  readonly #gone: Promise<void>;
  #settle: (reason: CloseReason) => void = () => {};
  #state: LinkState = 'open';
  #saidClose = false;
  #goodbyeFlushed = false;
  #paused = false;
  #socketError: Error | undefined;

  constructor(socket: Duplex, role: 'client' | 'server', receiver: LinkReceiver, options: LinkOptions = {}) {
    this.#socket = socket;
    this.#role = role;
    this.#receiver = receiver;
    this.closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#gone = new Promise((resolve) => {
      if (socket.destroyed) resolve();
      else socket.once('close', resolve);
    });
    const { maxMessageBytes, idleTimeoutMs = 0, closeLingerMs = CLOSE_LINGER_MS } = options;
    this.#decoder = new FrameDecoder({
      masked: role === 'server',
      ...(maxMessageBytes === undefined ? {} : { maxMessageBytes }),
    });
    this.#writer = new FrameWriter(socket, {
      masked: role === 'client',
      blockedChanged: (blocked) => {
        this.#keepalive.blocked(blocked);
        this.#closeWait.touch();
      },
    });
    this.#keepalive = new Keepalive(role, options, {
      ping: (payload) => this.#writer.send(opcodes.ping, payload),
      pong: (payload) => this.#writer.sendPong(payload),
      lost: (error) => this.fail(error),
    });
    this.#idle = new Deadline(idleTimeoutMs, () => {
      this.fail(new ExecPathError('ERR_IDLE_TIMEOUT', `no data was sent or received for ${idleTimeoutMs} ms`));
    });
    this.#closeWait = new CloseWait(socket, { quietMs: closeLingerMs, expired: () => this.#giveUpWaiting() });
    this.#attach(options.head);
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Whether senders shall wait, see {@link whenFree}. */
  get blocked(): boolean {
    return this.#writer.blocked;
  }

  /** Sends one message as one frame. What is sent after the end is dropped. `taken` as in {@link FrameWriter.send}. */
  send(opcode: MessageOpcode, payload: Uint8Array, options: { prefix?: number; taken?: () => void } = {}): void {
    if (this.#state === 'ended' || this.#saidClose) {
      options.taken?.();
      return;
    }
    this.#idle.touch();
    if (frames.hasSubscribers) frames.publish({ direction: 'out', opcode, bytes: payload.length });
    this.#writer.send(opcode, payload, options);
  }

  /** Runs `task` when senders need not wait; also when the link has ended. */
  whenFree(task: () => void): void {
    this.#writer.whenFree(task);
  }

  /** Stops or goes on reading the socket. What is behind, the peer's Close too, is then not seen. */
  read(reading: boolean): void {
    if (this.#paused !== reading || this.#state === 'ended') return;
    this.#paused = !reading;
    this.#keepalive.reading(reading);
    this.#closeWait.hold(!reading);
    if (reading) this.#socket.resume();
    else this.#socket.pause();
  }

  /**
   * Says Close 1000 once `flushed` resolves and waits for the peer's Close or EOF, as long as {@link CloseWait} allows.
   *
   * @returns when the socket is gone
   */
  async close(flushed: Promise<unknown> = Promise.resolve()): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'closing';
      this.#keepalive.stop();
      this.#idle.stop();
      this.#closeWait.start();
      await flushed;
      this.#sayClose(closeCodes.normal, '', () => {
        this.#goodbyeFlushed = true;
        this.#closeWait.touch();
      });
    }
    await this.#gone;
  }

  /** Ends the link because of `error`: the peer is told by a Close frame and gets a moment to read it. */
  fail(error: ExecPathError): void {
    this.#end({ kind: 'lost', error });
  }

  /** Ends the link and the socket at once. */
  destroy(cause?: Error): void {
    if (this.#state !== 'ended') {
      const error =
        cause instanceof ExecPathError
          ? cause
          : new ExecPathError('ERR_ABORTED', `the connection was given up: ${cause?.message ?? 'no reason'}`, {
              cause,
            });
      this.#end(this.#goodbyeFlushed && cause === undefined ? { kind: 'clean', by: 'local' } : { kind: 'lost', error });
    }
    this.#writer.flush();
    this.#socket.destroy();
  }

  #attach(head: Uint8Array | undefined): void {
    const socket = this.#socket;
    setTcpOptions(socket);
    if (this.#role === 'client') readOnAfterFailedWrite(socket);
    // A late error of a socket that nobody needs any more must not end the process.
    socket.on('error', (error: Error) => {
      this.#socketError ??= error;
    });
    // Before anybody listens: to a socket that flows it would be delivered here and now, inside our constructor.
    if (head !== undefined && head.length > 0 && !socket.destroyed) socket.unshift(head);
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
    // A socket that a handshake has paused does not flow because somebody listens.
    socket.resume();
    this.#keepalive.start();
    this.#idle.start();
    if (socket.destroyed || socket.readableEnded) process.nextTick(this.#onClose);
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#keepalive.received();
    this.#closeWait.touch();
    try {
      for (const event of this.#decoder.push(chunk)) {
        this.#handle(event);
        if (this.#state === 'ended') return;
      }
    } catch (thrown) {
      const error = toError(thrown);
      this.fail(
        error instanceof ExecPathError
          ? error
          : new ExecPathError('ERR_INTERNAL', `receiving failed: ${error.message}`, { cause: error }),
      );
    }
  };

  #handle(event: FrameEvent): void {
    if (frames.hasSubscribers) frames.publish({ direction: 'in', ...event });
    switch (event.kind) {
      case 'data':
        this.#idle.touch();
        this.#keepalive.receivedData();
        this.#receiver.receive(event);
        return;
      case 'ping':
        if (this.#saidClose) return;
        this.#writer.sendPong(event.payload);
        this.#keepalive.receivedPing(event.payload);
        return;
      case 'pong':
        this.#keepalive.receivedPong(event.payload);
        return;
      case 'close':
        this.#receivedClose(event.code, event.text);
    }
  }

  #receivedClose(code: number, text: string): void {
    const answered = this.#saidClose;
    this.#sayClose(code === closeCodes.noStatus ? closeCodes.normal : code);
    if (answered) this.#end({ kind: 'clean', by: 'local' });
    else if (isGoodbye(code, this.#role)) this.#end({ kind: 'clean', by: 'remote' });
    else {
      const reason = text === '' ? '' : `: ${JSON.stringify(text)}`;
      this.#end(lost(`the peer closed the WebSocket with ${closeCodeText(code)}${reason}; only 1000 is a clean end`));
    }
  }

  readonly #onEnd = (): void => this.#stopped('the peer ended it');

  readonly #onClose = (): void => this.#stopped(this.#socketError?.message ?? 'it was closed');

  #stopped(how: string): void {
    if (this.#state === 'closing') this.#end(this.#localEnd());
    else this.#end(lost(`the connection stopped without a Close frame: ${how}`, this.#socketError));
  }

  #giveUpWaiting(): void {
    this.#end(this.#localEnd());
    this.#socket.destroy();
  }

  /** How a close of ours ended: clean when our goodbye got as far as we can see. */
  #localEnd(): CloseReason {
    if (this.#goodbyeFlushed) return { kind: 'clean', by: 'local' };
    return lost('the peer did not take what was sent before the Close frame', this.#socketError);
  }

  /** The only way into `ended`: the first reason counts. */
  #end(reason: CloseReason): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#keepalive.stop();
    this.#idle.stop();
    this.#closeWait.stop();
    if (reason.kind === 'lost') this.#sayClose(closeCodeOf(reason.error), reason.error.message);
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    this.#settle(reason);
    this.#receiver.ended(reason);
    this.#writer.release();
    this.#linger(reason.kind === 'lost' ? FAILURE_LINGER_MS : CLOSE_LINGER_MS);
  }

  /** Lets the peer read our Close; a peer that goes on sending does not prolong this. */
  #linger(ms: number): void {
    const cap = setTimeout(() => this.#socket.destroy(), ms).unref();
    void lingerAndDestroy(this.#socket, { quietMs: ms, maxMs: ms }).then(() => clearTimeout(cap));
  }

  #sayClose(code: number, text = '', flushed?: () => void): void {
    if (this.#saidClose) return;
    this.#saidClose = true;
    if (!this.#socket.writable) return;
    if (frames.hasSubscribers) frames.publish({ direction: 'out', opcode: opcodes.close, code, text });
    this.#writer.sendClose(closePayload(code, text), flushed);
  }
}
