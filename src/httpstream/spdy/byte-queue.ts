/** Size of the blocks into which small pieces are gathered, in bytes. */
const BLOCK_BYTES = 16 * 1024;

/**
 * Bytes that wait for a reader, first in first out.
 *
 * What it holds costs memory in proportion to its length: small pieces are gathered into blocks, and a piece that is a
 * small part of its socket chunk is copied, for a view keeps the whole chunk alive.
 */
export class ByteQueue {
  readonly #pieces: Buffer[] = [];
  /** The last of `#pieces` while it can take more: a view that grows over `#block`. */
  #block: Buffer | undefined;
  #blockBytes = 0;
  #length = 0;

  /** Bytes held. */
  get length(): number {
    return this.#length;
  }

  push(bytes: Uint8Array): void {
    this.#length += bytes.length;
    if (bytes.length >= BLOCK_BYTES) {
      this.#block = undefined;
      this.#pieces.push(ownBytes(bytes));
      return;
    }
    if (this.#block === undefined || this.#blockBytes + bytes.length > this.#block.length) {
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#blockBytes = 0;
      this.#pieces.push(this.#block);
    }
    this.#block.set(bytes, this.#blockBytes);
    this.#blockBytes += bytes.length;
    this.#pieces[this.#pieces.length - 1] = this.#block.subarray(0, this.#blockBytes);
  }

  /** The oldest bytes, in a piece of any size, or undefined when there are none. */
  shift(): Buffer | undefined {
    const piece = this.#pieces.shift();
    if (piece === undefined) return undefined;
    if (this.#pieces.length === 0) this.#block = undefined;
    this.#length -= piece.length;
    return piece;
  }

  clear(): void {
    this.#pieces.length = 0;
    this.#block = undefined;
    this.#length = 0;
  }
}

/** `bytes` themselves where they are at least a quarter of the memory that they keep alive, a copy otherwise. */
export function ownBytes(bytes: Uint8Array): Buffer {
  return bytes.length * 4 < bytes.buffer.byteLength
    ? Buffer.from(bytes)
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
