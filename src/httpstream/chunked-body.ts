import { UpgradeError } from '../common/errors.ts';

/** The longest line with a chunk's size that is read, extensions included, in bytes. */
const MAX_SIZE_LINE_BYTES = 4096;

/**
 * Decodes a chunked HTTP/1.1 body from pieces of any size, up to a limit. Trailers are not read: the socket is given
 * up afterwards.
 */
export class ChunkedBody {
  readonly #maxBytes: number;
  readonly #pieces: Buffer[] = [];
  #length = 0;
  /** Bytes of the current chunk still to come; undefined while its size line is read. */
  #left: number | undefined;
  #line = '';

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  /**
   * @returns true when the last chunk or the limit is reached
   * @throws UpgradeError ERR_UPGRADE_REFUSED when a size line is not one
   */
  push(bytes: Buffer): boolean {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left === undefined) {
        const newline = bytes.indexOf(0x0a, at);
        const end = newline < 0 ? bytes.length : newline;
        this.#line += bytes.toString('latin1', at, end);
        if (this.#line.length > MAX_SIZE_LINE_BYTES) throw badSize(this.#line);
        if (newline < 0) return false;
        at = newline + 1;
        if (this.#takeSizeLine()) return true;
        continue;
      }
      const piece = bytes.subarray(at, at + Math.min(this.#left, this.#maxBytes - this.#length));
      this.#pieces.push(piece);
      this.#length += piece.length;
      this.#left -= piece.length;
      at += piece.length;
      if (this.#length >= this.#maxBytes) return true;
      if (this.#left === 0) this.#left = undefined;
    }
    return false;
  }

  /** @returns true when it announced the last chunk */
  #takeSizeLine(): boolean {
    const line = this.#line.trim();
    this.#line = '';
    // The line break after a chunk's bytes arrives here as an empty line.
    if (line === '') return false;
    const size = /^([0-9a-f]{1,8})\s*(;|$)/i.exec(line)?.[1];
    if (size === undefined) throw badSize(line);
    const bytes = Number.parseInt(size, 16);
    if (bytes === 0) return true;
    this.#left = bytes;
    return false;
  }
}

function badSize(line: string): UpgradeError {
  return new UpgradeError(
    'ERR_UPGRADE_REFUSED',
    `the answer to the upgrade is not HTTP/1.1: a chunk has the size ${JSON.stringify(line.slice(0, 40))}`,
    { httpStatus: 0, body: '' },
  );
}
