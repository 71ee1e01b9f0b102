/** The longest piece of a line that is held back until its end comes, in bytes. */
const MAX_LINE_BYTES = 64 * 1024;

const NEWLINE = 0x0a;

/**
 * Gives a log on in whole lines, each behind a prefix, so that several logs can be written as one. No byte is added or
 * lost but the prefixes. Of a line longer than {@link MAX_LINE_BYTES} the pieces come as they are.
 */
export class LogLines {
  readonly #prefix: Buffer;
  #held: readonly Buffer[] = [];
  #heldBytes = 0;
  /** What was given last did not end a line. */
  #isWithinLine = false;

  constructor(prefix: string) {
    this.#prefix = Buffer.from(prefix);
  }

  /** @returns what can be written now */
  take(chunk: Buffer): Buffer {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    const whole = end === 0 ? [] : [...this.#held, chunk.subarray(0, end)];
    const rest = Buffer.from(chunk.subarray(end));
    if (end > 0) this.#hold([]);
    if (rest.length > 0) this.#hold([...this.#held, rest]);
    if (this.#heldBytes > MAX_LINE_BYTES) {
      whole.push(...this.#held);
      this.#hold([]);
    }
    return this.#prefixed(Buffer.concat(whole));
  }

  /** The log has ended: a last line may lack its newline. */
  rest(): Buffer {
    const bytes = Buffer.concat(this.#held);
    this.#hold([]);
    return this.#prefixed(bytes);
  }

  #hold(pieces: readonly Buffer[]): void {
    this.#held = pieces;
    this.#heldBytes = pieces.reduce((sum, { length }) => sum + length, 0);
  }

  #prefixed(bytes: Buffer): Buffer {
    if (bytes.length === 0) return bytes;
    const pieces: Buffer[] = [];
    for (let start = 0; start < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline < 0 ? bytes.length : newline + 1;
      if (!this.#isWithinLine) pieces.push(this.#prefix);
      pieces.push(bytes.subarray(start, end));
      this.#isWithinLine = newline < 0;
      start = end;
    }
    return Buffer.concat(pieces);
  }
}
