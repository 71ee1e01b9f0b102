import type { Duplex } from 'node:stream';
import { hasFailedWrite } from '../failed-write.ts';
import { FrameEncoder } from './encoder.ts';
import { type ControlOpcode, type MessageOpcode, opcodes } from './frame.ts';

/**
 * Bytes that may wait in a socket before senders are asked to wait. More than the high-water mark of a socket: with
 * 16 KiB each message would need a round of the event loop.
 */
export const SEND_BUFFER_BYTES = 256 * 1024;

/**
 * Writes frames to a socket: those of one tick together, and no more than {@link SEND_BUFFER_BYTES} ahead of the peer
 * (plus one message for each sender, and one PONG).
 */
export class FrameWriter {
  readonly #socket: Duplex;
  readonly #encoder: FrameEncoder;
  readonly #blockedChanged: (blocked: boolean) => void;
  #waiting: (() => void)[] = [];
  #pong: Uint8Array | undefined;
  #corked = false;
  #blocked = false;

  constructor(socket: Duplex, options: { masked: boolean; blockedChanged: (blocked: boolean) => void }) {
    this.#socket = socket;
    this.#encoder = new FrameEncoder(options);
    this.#blockedChanged = options.blockedChanged;
    socket.on('drain', this.#drained);
  }

  /** Whether senders shall wait; see {@link whenFree}. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /**
   * @param options.prefix one byte in front of the payload
   * @param options.taken called once `payload` is the caller's again and more may be sent: at once when it was copied
   * and senders need not wait. Called also when the write failed: the end of the connection is told elsewhere.
   */
  send(
    opcode: MessageOpcode | ControlOpcode,
    payload: Uint8Array,
    options: { readonly prefix?: number | undefined; readonly taken?: (() => void) | undefined } = {},
  ): void {
    this.#cork();
    const [frame, rest] = this.#encoder.encode(opcode, payload, options.prefix);
    const { taken } = options;
    this.#socket.write(frame);
    if (rest !== undefined) this.#socket.write(rest, () => taken?.());
    const { writableNeedDrain, writableLength } = this.#socket;
    if (!this.#blocked && writableNeedDrain && writableLength > SEND_BUFFER_BYTES) this.#setBlocked(true);
    if (rest === undefined && taken !== undefined) this.whenFree(taken);
  }

  /** Sends a Close frame, after which no PONG may follow. @param flushed when the kernel has it; never when it failed */
  sendClose(payload: Uint8Array, flushed?: () => void): void {
    this.#pong = undefined;
    this.#cork();
    const [frame] = this.#encoder.encode(opcodes.close, payload);
    this.#socket.write(frame, (error) => {
      if ((error === null || error === undefined) && !hasFailedWrite(this.#socket)) flushed?.();
    });
  }

  /**
   * Answers a PING. While blocked only the latest is kept, as RFC 6455, section 5.5.3 allows: a peer that sends PINGs
   * and reads nothing must not fill our memory.
   */
  sendPong(payload: Uint8Array): void {
    if (this.#blocked) this.#pong = payload;
    else this.send(opcodes.pong, payload);
  }

  /** Runs `task` as soon as senders need not wait, in the order of the calls; also when the connection has ended. */
  whenFree(task: () => void): void {
    if (this.#blocked) this.#waiting.push(task);
    else task();
  }

  /** Hands what was written in this tick to the socket at once. */
  flush(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
  }

  /** No more waiting: the connection has ended. */
  release(): void {
    this.#socket.off('drain', this.#drained);
    this.#pong = undefined;
    this.#blocked = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const task of waiting) task();
  }

  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => this.flush());
  }

  readonly #drained = (): void => {
    if (!this.#blocked) return;
    this.#setBlocked(false);
    const pong = this.#pong;
    this.#pong = undefined;
    if (pong !== undefined) this.send(opcodes.pong, pong);
    while (!this.#blocked) {
      const task = this.#waiting.shift();
      if (task === undefined) return;
      task();
    }
  };

  #setBlocked(blocked: boolean): void {
    this.#blocked = blocked;
    this.#blockedChanged(blocked);
  }
}
