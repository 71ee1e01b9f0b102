import { ProtocolError } from '../../common/errors.ts';
import { closeCodes, type FrameEvent, isCloseCode, MAX_CONTROL_BYTES, type MessageOpcode, opcodes } from './frame.ts';
import { applyMask } from './mask.ts';

export interface DecoderOptions {
  /** Whether the peer masks: clients must, servers must not. */
  readonly masked: boolean;
  /** The longest message, all its fragments together, in bytes. Default: no limit, for nothing is assembled here. */
  readonly maxMessageBytes?: number;
}

/** 2 bytes, up to 8 of extended length, 4 of mask. */
const MAX_HEADER_BYTES = 14;

/**
 * Frames of RFC 6455 out of bytes cut anywhere. Does no I/O and holds at most one header and one control frame:
 * payloads of data messages pass through as views of the chunks they came in.
 *
 * ```
 * header (2 … 14 bytes) ─complete→ payload ─complete→ header
 * ```
 *
 * Lengths in a longer form than needed are accepted, as Go's peers do. After an error the decoder is of no further use.
 */
export class FrameDecoder {
  readonly #masked: boolean;
  readonly #maxMessageBytes: number;
  readonly #header = new Uint8Array(MAX_HEADER_BYTES);
  #headerBytes = 0;
  readonly #mask = new Uint8Array(4);
  #inPayload = false;
  #opcode: number = opcodes.binary;
  #final = true;
  #frameBytes = 0;
  #left = 0;
  /** The opcode of the message under way between its first frame and its last. */
  #message: MessageOpcode | undefined;
  #messageBytes = 0;
  #atStart = true;
  #control = new Uint8Array(0);

  constructor(options: DecoderOptions) {
    this.#masked = options.masked;
    this.#maxMessageBytes = options.maxMessageBytes ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Takes over `chunk`: masked payloads are unmasked in place.
   *
   * @throws ProtocolError ERR_WEBSOCKET_FRAME the bytes break RFC 6455
   * @throws ProtocolError ERR_MESSAGE_TOO_LONG before any byte of the frame that crosses the limit is given out
   */
  *push(chunk: Uint8Array): Generator<FrameEvent, void, undefined> {
    let offset = 0;
    for (;;) {
      if (!this.#inPayload) {
        offset = this.#readHeader(chunk, offset);
        if (!this.#inPayload) return;
      }
      const bytes = chunk.subarray(offset, offset + this.#left);
      if (bytes.length === 0 && this.#left > 0) return;
      offset += bytes.length;
      if (this.#masked) applyMask(bytes, this.#mask, this.#frameBytes - this.#left);
      this.#left -= bytes.length;
      if (this.#left === 0) this.#inPayload = false;
      const event = this.#opcode >= opcodes.close ? this.#controlEvent(bytes) : this.#dataPiece(bytes);
      if (event !== undefined) yield event;
    }
  }

  /** @returns the offset behind what was taken; `#inPayload` says whether the header is complete */
  #readHeader(chunk: Uint8Array, start: number): number {
    let offset = start;
    while (offset < chunk.length) {
      const needed = this.#headerBytes < 2 ? 2 : this.#headerLength();
      const taken = chunk.subarray(offset, offset + needed - this.#headerBytes);
      this.#header.set(taken, this.#headerBytes);
      this.#headerBytes += taken.length;
      offset += taken.length;
      if (this.#headerBytes < 2) return offset;
      if (needed === 2) this.#checkFlags();
      if (this.#headerBytes === this.#headerLength()) {
        this.#enterPayload();
        return offset;
      }
    }
    return offset;
  }

  #headerLength(): number {
    const length = this.#byte(1) & 0x7f;
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (this.#masked ? 4 : 0);
  }

  #byte(index: number): number {
    return this.#header[index] ?? 0;
  }

  /** Rules that the first two bytes decide. */
  #checkFlags(): void {
    const flags = this.#byte(0);
    this.#final = (flags & 0x80) !== 0;
    this.#opcode = flags & 0x0f;
    if ((flags & 0x70) !== 0) {
      throw broken(`the reserved bits 0x${(flags & 0x70).toString(16)} are set, no extension was agreed on`);
    }
    if (((this.#byte(1) & 0x80) !== 0) !== this.#masked) {
      throw broken(this.#masked ? 'a client sent a frame without a mask' : 'a server sent a masked frame');
    }
    switch (this.#opcode) {
      case opcodes.continuation:
        if (this.#message === undefined) throw broken('a continuation frame continues no message');
        return;
      case opcodes.text:
      case opcodes.binary:
        if (this.#message !== undefined) throw broken('a new message starts inside a fragmented one');
        return;
      case opcodes.close:
      case opcodes.ping:
      case opcodes.pong:
        if (!this.#final) throw broken(`a control frame, opcode ${this.#opcode}, is fragmented`);
        if ((this.#byte(1) & 0x7f) > MAX_CONTROL_BYTES) {
          throw broken(`a control frame, opcode ${this.#opcode}, has more than ${MAX_CONTROL_BYTES} bytes`);
        }
        return;
      default:
        throw broken(`the opcode ${this.#opcode} is reserved`);
    }
  }

  #enterPayload(): void {
    let length = this.#byte(1) & 0x7f;
    if (length === 126) length = this.#byte(2) * 256 + this.#byte(3);
    else if (length === 127) {
      if (this.#byte(2) > 0x7f) throw broken('the highest bit of a 64-bit length is set');
      length = 0;
      for (let i = 2; i < 10; i += 1) length = length * 256 + this.#byte(i);
    }
    if (this.#masked) for (let i = 0; i < 4; i += 1) this.#mask[i] = this.#byte(this.#headerBytes - 4 + i);
    if (this.#opcode < opcodes.close) this.#enterMessage(length);
    else this.#control = new Uint8Array(length);
    this.#frameBytes = length;
    this.#left = length;
    this.#headerBytes = 0;
    this.#inPayload = true;
  }

  #enterMessage(frameBytes: number): void {
    if (this.#opcode !== opcodes.continuation) {
      this.#message = this.#opcode === opcodes.text ? opcodes.text : opcodes.binary;
      this.#messageBytes = 0;
      this.#atStart = true;
    }
    this.#messageBytes += frameBytes;
    // Beyond 2 ** 53 a length is no longer exact, and no peer can mean it.
    if (this.#messageBytes > Math.min(this.#maxMessageBytes, Number.MAX_SAFE_INTEGER)) {
      throw new ProtocolError(
        'ERR_MESSAGE_TOO_LONG',
        `a message of at least ${this.#messageBytes} bytes exceeds the limit of ${this.#maxMessageBytes}`,
      );
    }
  }

  #dataPiece(bytes: Uint8Array): FrameEvent {
    const opcode = this.#message ?? opcodes.binary;
    const first = this.#atStart;
    const last = this.#final && this.#left === 0;
    this.#atStart = false;
    if (last) this.#message = undefined;
    return { kind: 'data', opcode, bytes, first, last };
  }

  #controlEvent(bytes: Uint8Array): FrameEvent | undefined {
    this.#control.set(bytes, this.#frameBytes - this.#left - bytes.length);
    if (this.#left > 0) return undefined;
    const payload = this.#control;
    if (this.#opcode === opcodes.ping) return { kind: 'ping', payload };
    if (this.#opcode === opcodes.pong) return { kind: 'pong', payload };
    return closeEvent(payload);
  }
}

/** 0 bytes, or a 16-bit code and a reason in UTF-8. @see RFC 6455, section 5.5.1 */
function closeEvent(payload: Uint8Array): FrameEvent {
  if (payload.length === 0) return { kind: 'close', code: closeCodes.noStatus, text: '' };
  if (payload.length === 1) throw broken('a Close frame has a payload of 1 byte');
  const code = ((payload[0] ?? 0) << 8) | (payload[1] ?? 0);
  if (!isCloseCode(code)) throw broken(`the close code ${code} must not be sent`);
  try {
    return { kind: 'close', code, text: new TextDecoder('utf-8', { fatal: true }).decode(payload.subarray(2)) };
  } catch (cause) {
    throw broken('the reason in a Close frame is not UTF-8', cause);
  }
}

function broken(message: string, cause?: unknown): ProtocolError {
  return new ProtocolError('ERR_WEBSOCKET_FRAME', message, { cause });
}
