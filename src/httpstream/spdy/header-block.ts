import { ExecPathError, ProtocolError } from '../../common/errors.ts';

/**
 * The headers of one stream: lower-case name to value. Where the wire has several values for a name, this is the first,
 * the only one that Kubernetes ever looks at.
 */
export type SpdyHeaders = ReadonlyMap<string, string>;

/** The most headers in one block. @see spdystream 0.5.1; wire.md 1.3 */
export const MAX_HEADERS = 1000;

/** The longest name and the longest value, in bytes. @see spdystream 0.5.1; wire.md 1.3 */
export const MAX_HEADER_FIELD_BYTES = 1024 * 1024;

/** The longest whole block before compression, in bytes. Upstream has no such limit; 1000 × 2 MiB is none. */
export const MAX_HEADER_BLOCK_BYTES = 4 * 1024 * 1024;

/** Names that peers treat as a broken block. `host` only in what a client sends, which is all that matters here. */
const forbiddenNames: ReadonlySet<string> = new Set([
  'connection',
  'host',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
]);

/** How much is allocated for a name or value before its bytes arrive. */
const FIRST_ALLOCATION_BYTES = 256;

/**
 * Writes a header block, uncompressed. Names are lower-cased: peers end the connection at an upper-case letter.
 *
 * @throws ExecPathError ERR_HEADER_BLOCK when a name or value cannot be said in SPDY, or a limit is exceeded
 */
export function encodeHeaderBlock(headers: Readonly<Record<string, string>>): Uint8Array {
  const pairs = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  if (pairs.length > MAX_HEADERS) throw unsayable(`${pairs.length} headers are more than ${MAX_HEADERS}`);
  const parts: Buffer[] = [lengthPrefix(pairs.length)];
  for (const [name, value] of pairs) {
    if (!/^[\x21-\x7e]+$/.test(name)) throw unsayable(`the header name ${JSON.stringify(name)} is not printable ASCII`);
    if (forbiddenNames.has(name)) throw unsayable(`the header name ${JSON.stringify(name)} is not allowed in SPDY`);
    if (value.includes('\0')) throw unsayable(`the value of ${JSON.stringify(name)} has a NUL, which separates values`);
    for (const text of [name, value]) {
      const bytes = Buffer.from(text);
      if (bytes.length > MAX_HEADER_FIELD_BYTES) {
        throw unsayable(`a name or value of ${bytes.length} bytes is longer than ${MAX_HEADER_FIELD_BYTES}`);
      }
      parts.push(lengthPrefix(bytes.length), bytes);
    }
  }
  const block = Buffer.concat(parts);
  if (block.length > MAX_HEADER_BLOCK_BYTES) {
    throw unsayable(`a block of ${block.length} bytes is longer than ${MAX_HEADER_BLOCK_BYTES}`);
  }
  return block;
}

function lengthPrefix(length: number): Buffer {
  const prefix = Buffer.allocUnsafe(4);
  prefix.writeUInt32BE(length);
  return prefix;
}

function unsayable(message: string): ExecPathError {
  return new ExecPathError('ERR_HEADER_BLOCK', message);
}

/** A broken or oversized block; the compression state is lost with it, so the connection is too. */
export function headerBlockError(message: string, cause?: unknown): ProtocolError {
  return new ProtocolError('ERR_HEADER_BLOCK', message, { cause });
}

/**
 * Reads one uncompressed header block from pieces of any size.
 *
 *     count ─▶ nameLength ─▶ name ─▶ valueLength ─▶ value ─▶ done
 *                 ▲                                    │
 *                 └────────────────────────────────────┘
 *
 * Every length is checked before anything is allocated for it, and allocation follows the bytes that really arrived.
 */
export class HeaderBlockParser {
  readonly #headers = new Map<string, string>();
  #state: 'count' | 'nameLength' | 'name' | 'valueLength' | 'value' | 'done' = 'count';
  #word = 0;
  #wordBytes = 0;
  #headersLeft = 0;
  #name = '';
  #text: Buffer = Buffer.alloc(0);
  #textBytes = 0;
  #textLength = 0;
  #total = 0;

  /**
   * @param bytes not kept
   * @throws ProtocolError ERR_HEADER_BLOCK
   */
  push(bytes: Uint8Array): void {
    this.#total += bytes.length;
    if (this.#total > MAX_HEADER_BLOCK_BYTES) {
      throw headerBlockError(`a header block is longer than ${MAX_HEADER_BLOCK_BYTES} bytes`);
    }
    let at = 0;
    while (at < bytes.length) {
      switch (this.#state) {
        case 'count':
        case 'nameLength':
        case 'valueLength':
          this.#word = this.#word * 256 + (bytes[at] ?? 0);
          at += 1;
          this.#wordBytes += 1;
          if (this.#wordBytes === 4) this.#gotWord();
          break;
        case 'name':
        case 'value':
          at += this.#takeText(bytes.subarray(at));
          if (this.#textBytes === this.#textLength) this.#gotText();
          break;
        case 'done':
          throw headerBlockError(`a header block has ${bytes.length - at} bytes or more after its last header`);
      }
    }
  }

  /**
   * The frame is over.
   *
   * @throws ProtocolError ERR_HEADER_BLOCK when the block is not
   */
  finish(): SpdyHeaders {
    if (this.#state !== 'done') throw headerBlockError(`a header block ends inside a ${this.#state}`);
    return this.#headers;
  }

  #gotWord(): void {
    const word = this.#word;
    this.#word = 0;
    this.#wordBytes = 0;
    if (this.#state === 'count') {
      if (word > MAX_HEADERS)
        throw headerBlockError(`a header block says ${word} headers, the limit is ${MAX_HEADERS}`);
      this.#headersLeft = word;
      this.#state = word === 0 ? 'done' : 'nameLength';
      return;
    }
    if (word > MAX_HEADER_FIELD_BYTES) {
      throw headerBlockError(`a header ${this.#state} is ${word}, the limit is ${MAX_HEADER_FIELD_BYTES}`);
    }
    this.#textLength = word;
    this.#textBytes = 0;
    this.#text = Buffer.allocUnsafe(Math.min(word, FIRST_ALLOCATION_BYTES));
    this.#state = this.#state === 'nameLength' ? 'name' : 'value';
    if (word === 0) this.#gotText();
  }

  /** @returns how many bytes were taken */
  #takeText(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#textLength - this.#textBytes);
    const needed = this.#textBytes + taken;
    if (needed > this.#text.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#textLength, Math.max(needed, this.#text.length * 2)));
      this.#text.copy(grown, 0, 0, this.#textBytes);
      this.#text = grown;
    }
    this.#text.set(bytes.subarray(0, taken), this.#textBytes);
    this.#textBytes = needed;
    return taken;
  }

  #gotText(): void {
    const text = this.#text.toString('utf8', 0, this.#textLength);
    if (this.#state === 'name') {
      if (/[A-Z]/.test(text)) throw headerBlockError(`the header name ${JSON.stringify(text)} is not lower-case`);
      if (forbiddenNames.has(text)) throw headerBlockError(`the header name ${JSON.stringify(text)} is not allowed`);
      this.#name = text;
      this.#state = 'valueLength';
      return;
    }
    const nul = text.indexOf('\0');
    if (!this.#headers.has(this.#name)) this.#headers.set(this.#name, nul < 0 ? text : text.slice(0, nul));
    this.#headersLeft -= 1;
    this.#state = this.#headersLeft === 0 ? 'done' : 'nameLength';
  }
}
