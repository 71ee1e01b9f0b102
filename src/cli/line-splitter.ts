/** The longest piece of a line that is held back until its end comes, in bytes. */
const MAX_LINE_BYTES = 64 * 1024;

const NEWLINE = 0x0a;

/**
 * Cuts a stream of bytes into whole lines, so that lines of several streams do not mix. A line longer than
 * {@link MAX_LINE_BYTES} comes in pieces.
 */
export class LineSplitter {
  #held: Buffer = Buffer.alloc(0);
  readonly #onLine: (line: Buffer) => void;

  /** @param onLine gets each line without its newline */
  constructor(onLine: (line: Buffer) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#take(chunk.subarray(start, end));
      this.#emit();
      start = end + 1;
    }
    this.#take(chunk.subarray(start));
    while (this.#held.length > MAX_LINE_BYTES) {
      const rest = this.#held.subarray(MAX_LINE_BYTES);
      this.#held = this.#held.subarray(0, MAX_LINE_BYTES);
      this.#emit();
      this.#held = rest;
    }
  }

  /** The stream ended: a last line without a newline is one too. */
  end(): void {
    if (this.#held.length > 0) this.#emit();
  }

  #take(bytes: Buffer): void {
    // Copied: a slice would keep the whole chunk of the socket.
    this.#held = this.#held.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes]);
  }

  #emit(): void {
    const line = this.#held;
    this.#held = Buffer.alloc(0);
    this.#onLine(line);
  }
}
