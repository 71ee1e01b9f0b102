import { ExecPathError } from '../../common/errors.ts';

/**
 * Takes exact numbers of bytes from a stream of chunks.
 *
 * Owns: the iterator of its source.
 */
export class ByteReader {
  readonly #source: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /**
   * Up to `length` bytes, at least one.
   *
   * @returns undefined at the end of the source
   */
  async some(length: number): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) return undefined;
      this.#rest = next.value;
    }
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  /**
   * @returns undefined when the source ended before the first byte
   * @throws ExecPathError ERR_IMAGE_ARCHIVE when it ended within
   */
  async exactly(length: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let missing = length; missing > 0; ) {
      const part = await this.some(missing);
      if (part === undefined) {
        if (parts.length === 0) return undefined;
        throw new ExecPathError('ERR_IMAGE_ARCHIVE', `an archive ends ${missing} bytes too early`);
      }
      parts.push(part);
      missing -= part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** Reads to the end of the source. */
  async drain(): Promise<void> {
    while ((await this.some(Number.MAX_SAFE_INTEGER)) !== undefined);
  }
}
