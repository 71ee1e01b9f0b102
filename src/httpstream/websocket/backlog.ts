/** Sizes of the blocks: the first is small, for most backlogs are a few keystrokes. */
const FIRST_BLOCK_BYTES = 4 * 1024;
const MAX_BLOCK_BYTES = 64 * 1024;

/**
 * Bytes that nobody has read yet, copied together into blocks.
 *
 * A view of a received chunk would keep the whole chunk in memory, and a million messages of one byte would be a million
 * objects: here a byte costs a byte (blocks are at most half empty, the last one apart).
 */
export class Backlog {
  readonly #blocks: Buffer[] = [];
  /** Bytes used in the last block. */
  #used = 0;
  #length = 0;

  /** Bytes held. */
  get length(): number {
    return this.#length;
  }

  /** Copies `bytes`. */
  append(bytes: Uint8Array): void {
    let rest = bytes;
    this.#length += bytes.length;
    while (rest.length > 0) {
      let block = this.#blocks.at(-1);
      if (block === undefined || this.#used === block.length) block = this.#grow(rest.length, block);
      const taken = rest.subarray(0, block.length - this.#used);
      block.set(taken, this.#used);
      this.#used += taken.length;
      rest = rest.subarray(taken.length);
    }
  }

  /** @returns the oldest block, now the caller's; undefined when nothing is held */
  take(): Buffer | undefined {
    const block = this.#blocks.shift();
    if (block === undefined) return undefined;
    const bytes = this.#blocks.length === 0 ? block.subarray(0, this.#used) : block;
    this.#length -= bytes.length;
    return bytes;
  }

  /** @returns how many bytes were dropped */
  clear(): number {
    const dropped = this.#length;
    this.#blocks.length = 0;
    this.#length = 0;
    return dropped;
  }

  #grow(wanted: number, last: Buffer | undefined): Buffer {
    const size = Math.min(MAX_BLOCK_BYTES, Math.max(FIRST_BLOCK_BYTES, wanted, (last?.length ?? 0) * 2));
    const block = Buffer.allocUnsafeSlow(size);
    this.#blocks.push(block);
    this.#used = 0;
    return block;
  }
}
