import { randomFillSync } from 'node:crypto';
import { type ControlOpcode, MAX_CONTROL_BYTES, type MessageOpcode } from './frame.ts';
import { applyMask } from './mask.ts';

/** Up to this size header and payload become one buffer; above it the payload is not copied. */
const COPY_BYTES = 2048;

/** Random bytes drawn at a time; one call for each mask would cost more than the masking of a small frame. */
const MASK_POOL_BYTES = 8192;

/** One for all connections: each mask is used once. */
const maskPool = Buffer.alloc(MASK_POOL_BYTES);
let maskOffset = MASK_POOL_BYTES;

/** One frame: all of it in a buffer of its own, or a header and the caller's payload behind it. */
export type EncodedFrame = [whole: Uint8Array] | [header: Uint8Array, payload: Uint8Array];

/**
 * Frames of RFC 6455, always unfragmented.
 *
 * A server's frame leaves the payload where it is; a client's frame is a masked copy, for the caller's bytes are not
 * ours to change.
 */
export class FrameEncoder {
  readonly #masked: boolean;

  constructor(options: { /** Clients mask. */ readonly masked: boolean }) {
    this.#masked = options.masked;
  }

  /**
   * @param payload not kept by a client; by a server until the frame is written
   * @param prefix one byte in front of the payload, such as a channel number
   */
  encode(opcode: MessageOpcode | ControlOpcode, payload: Uint8Array, prefix?: number): EncodedFrame {
    const prefixBytes = prefix === undefined ? 0 : 1;
    const length = payload.length + prefixBytes;
    const headerBytes = 2 + (length < 126 ? 0 : length < 65_536 ? 2 : 8) + (this.#masked ? 4 : 0);
    const whole = this.#masked || length <= COPY_BYTES;
    const frame = Buffer.allocUnsafe(headerBytes + (whole ? length : prefixBytes));
    frame[0] = 0x80 | opcode;
    this.#writeLength(frame, length);
    if (prefix !== undefined) frame[headerBytes] = prefix;
    if (!whole) return [frame, payload];
    frame.set(payload, headerBytes + prefixBytes);
    if (this.#masked) {
      const mask = nextMask();
      frame.set(mask, headerBytes - 4);
      applyMask(frame.subarray(headerBytes), mask, 0);
    }
    return [frame];
  }

  #writeLength(frame: Buffer, length: number): void {
    const maskBit = this.#masked ? 0x80 : 0;
    if (length < 126) frame[1] = maskBit | length;
    else if (length < 65_536) {
      frame[1] = maskBit | 126;
      frame.writeUInt16BE(length, 2);
    } else {
      frame[1] = maskBit | 127;
      frame.writeUInt32BE(Math.floor(length / 2 ** 32), 2);
      frame.writeUInt32BE(length % 2 ** 32, 6);
    }
  }
}

/** 4 random bytes that were not used before; a view that is valid until the next call. */
function nextMask(): Uint8Array {
  if (maskOffset === MASK_POOL_BYTES) {
    randomFillSync(maskPool);
    maskOffset = 0;
  }
  maskOffset += 4;
  return maskPool.subarray(maskOffset - 4, maskOffset);
}

/**
 * The payload of a Close frame.
 *
 * @param text cut at a character so that the payload fits into a control frame
 */
export function closePayload(code: number, text = ''): Uint8Array {
  let reason = Buffer.from(text);
  if (reason.length > MAX_CONTROL_BYTES - 2) {
    let end = MAX_CONTROL_BYTES - 2;
    // Continuation bytes of UTF-8 are 10xxxxxx: step back to where a character starts.
    while (end > 0 && ((reason[end] ?? 0) & 0xc0) === 0x80) end -= 1;
    reason = reason.subarray(0, end);
  }
  const payload = Buffer.alloc(2 + reason.length);
  payload.writeUInt16BE(code, 0);
  payload.set(reason, 2);
  return payload;
}
