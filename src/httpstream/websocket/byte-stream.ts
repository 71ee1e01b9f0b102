import type { Duplex } from 'node:stream';
import { ProtocolError } from '../../common/errors.ts';
import { type CloseReason, STREAM_BUFFER_BYTES } from '../connection.ts';
import { type DataPiece, MESSAGE_PAYLOAD_BYTES, opcodes } from './frame.ts';
import { type LinkOptions, WebSocketLink } from './link.ts';
import { ReceivingDuplex } from './receiving-duplex.ts';

export interface ByteStreamOptions extends LinkOptions {
  readonly role: 'client' | 'server';
  /** The negotiated subprotocol, '' for none. */
  readonly protocol: string;
}

/**
 * A WebSocket as a pipe of bytes: the tunnel that carries SPDY for port-forward. Message boundaries mean nothing.
 *
 * `end()` says Close 1000 behind everything written; the tunnel has no half-close, but what the peer sent before its own
 * Close still arrives. The peer's Close 1000 is EOF; every other ending is an error, behind what had arrived.
 *
 * By default a client sends no PINGs here, unlike on channels: SPDY has its own inside (wire.md 3.6).
 *
 * Owns: the socket.
 *
 * @see wire.md 4.3
 */
export class WebSocketByteStream extends ReceivingDuplex {
  /** Negotiated, '' for none. */
  readonly protocol: string;
  /** How the WebSocket ended; settles once, never rejects. The socket may linger a little longer. */
  readonly ended: Promise<CloseReason>;
  readonly #link: WebSocketLink;

  constructor(socket: Duplex, options: ByteStreamOptions) {
    super({ allowHalfOpen: false });
    this.protocol = options.protocol;
    const receiver = {
      receive: (piece: DataPiece) => this.#receive(piece),
      ended: (reason: CloseReason) => {
        if (reason.kind === 'lost') this.failReading(reason.error);
        else this.endBoth();
      },
    };
    this.#link = new WebSocketLink(socket, options.role, receiver, { pingIntervalMs: 0, ...options });
    this.ended = this.#link.closed;
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    let offset = 0;
    const next = (): void => {
      while (offset < bytes.length) {
        if (this.#link.blocked) {
          this.#link.whenFree(next);
          return;
        }
        const part = bytes.subarray(offset, offset + MESSAGE_PAYLOAD_BYTES);
        offset += part.length;
        const last = offset === bytes.length;
        this.#link.send(opcodes.binary, part, last ? { taken: done } : {});
        if (last) return;
      }
      done();
    };
    next();
  }

  override _final(done: () => void): void {
    void this.#link.close();
    done();
  }

  override _destroy(cause: Error | null, done: (error?: Error | null) => void): void {
    // After an ending the link sees to the socket itself: the peer may still have to read our Close.
    if (this.#link.state !== 'ended') this.#link.destroy(cause ?? undefined);
    super._destroy(cause, done);
  }

  protected override taken(): void {
    if (this.heldBytes <= STREAM_BUFFER_BYTES / 2) this.#link.read(true);
  }

  #receive(piece: DataPiece): void {
    if (piece.opcode === opcodes.text) {
      throw new ProtocolError('ERR_CHANNEL', 'a text message came where the tunnel has only binary messages');
    }
    this.receive(piece.bytes);
    if (this.heldBytes > STREAM_BUFFER_BYTES) this.#link.read(false);
  }
}
