import { FLAG_FIN, frameTypes, MAX_FRAME_BYTES, SPDY_VERSION } from './frame.ts';
import { encodeHeaderBlock } from './header-block.ts';
import { HeaderDeflater } from './header-compression.ts';

/**
 * Makes the frames of one direction. There is no HEADERS: a Go peer that gets one blocks for ever (wire.md 1.7); no
 * SETTINGS and no WINDOW_UPDATE either, for nobody reads them.
 *
 * Send what it returns in the order in which it was made: header blocks share one compression context.
 */
export class FrameEncoder {
  readonly #deflater = new HeaderDeflater();

  /** @throws ExecPathError ERR_HEADER_BLOCK; nothing was consumed then */
  synStream(streamId: number, headers: Readonly<Record<string, string>>): Uint8Array {
    const block = this.#deflater.deflate(encodeHeaderBlock(headers));
    const fixed = Buffer.alloc(10);
    fixed.writeUInt32BE(streamId, 0);
    return control(frameTypes.SYN_STREAM, fixed, block);
  }

  /** Kubernetes servers reply without headers, always. */
  synReply(streamId: number): Uint8Array {
    const fixed = Buffer.alloc(4);
    fixed.writeUInt32BE(streamId, 0);
    return control(frameTypes.SYN_REPLY, fixed, this.#deflater.deflate(encodeHeaderBlock({})));
  }

  rstStream(streamId: number, status: number): Uint8Array {
    return control(frameTypes.RST_STREAM, words(streamId, status));
  }

  ping(id: number): Uint8Array {
    return control(frameTypes.PING, words(id));
  }

  goAway(lastGoodStreamId: number, status: number): Uint8Array {
    return control(frameTypes.GOAWAY, words(lastGoodStreamId, status));
  }

  /** @param length bytes of payload that follow, at most 2^24 − 1 */
  dataHead(streamId: number, length: number, fin = false): Uint8Array {
    const head = Buffer.allocUnsafe(8);
    head.writeUInt32BE(streamId, 0);
    head.writeUInt8(fin ? FLAG_FIN : 0, 4);
    head.writeUIntBE(length, 5, 3);
    return head;
  }
}

function control(type: number, ...parts: Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  // A block is at most MAX_HEADER_BLOCK_BYTES and stored blocks add 5 bytes per 64 KiB, so this holds.
  if (length > MAX_FRAME_BYTES) throw new RangeError(`a frame of ${length} bytes is longer than ${MAX_FRAME_BYTES}`);
  const head = Buffer.allocUnsafe(8);
  head.writeUInt16BE(0x8000 | SPDY_VERSION, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt8(0, 4);
  head.writeUIntBE(length, 5, 3);
  return Buffer.concat([head, ...parts]);
}

function words(...values: number[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32BE(value, index * 4));
  return bytes;
}
