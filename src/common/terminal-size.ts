import { ProtocolError } from './errors.ts';

/** Size of a terminal in character cells, each 0 … 65535. A 0 means "unknown" and is ignored by runtimes. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** One resize message: JSON and a newline, as Go's encoder writes it. */
export function encodeTerminalSize(size: TerminalSize): string {
  return `{"Width":${size.width},"Height":${size.height}}\n`;
}

/** The longest JSON object accepted on a resize stream, in characters. Real ones have about 30. */
const MAX_RESIZE_CHARS = 4096;

/**
 * Reads the resize stream: JSON objects split or packed over any chunks, keys in any case, missing keys 0.
 *
 * After the first error it stays silent: upstream stops handling resizes then and lets the session live.
 */
export class TerminalSizeDecoder {
  #text = '';
  #depth = 0;
  #inString = false;
  #escaped = false;
  #broken = false;
  readonly #utf8 = new TextDecoder();

  /**
   * @returns the sizes completed by this chunk, oldest first
   * @throws ProtocolError ERR_CHANNEL once, at the first malformed object; later chunks give nothing
   */
  push(chunk: Uint8Array): TerminalSize[] {
    const sizes: TerminalSize[] = [];
    if (this.#broken) return sizes;
    for (const char of this.#utf8.decode(chunk, { stream: true })) {
      if (this.#depth === 0) {
        if (/\s/.test(char)) continue;
        if (char !== '{') throw this.#fail(`a resize message starts with ${JSON.stringify(char)}, not with {`);
      }
      this.#text += char;
      if (this.#text.length > MAX_RESIZE_CHARS)
        throw this.#fail(`a resize message exceeds ${MAX_RESIZE_CHARS} characters`);
      this.#track(char);
      if (this.#depth === 0) {
        sizes.push(this.#parse(this.#text));
        this.#text = '';
      }
    }
    return sizes;
  }

  #track(char: string): void {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (char === '\\') this.#escaped = true;
      else if (char === '"') this.#inString = false;
    } else if (char === '"') this.#inString = true;
    else if (char === '{') this.#depth += 1;
    else if (char === '}') this.#depth -= 1;
  }

  #parse(text: string): TerminalSize {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw this.#fail(`a resize message is not JSON: ${text}`, cause);
    }
    const size = { width: 0, height: 0 };
    for (const [key, field] of Object.entries(value as Record<string, unknown>)) {
      const name = key.toLowerCase();
      if (name !== 'width' && name !== 'height') continue;
      if (typeof field !== 'number' || !Number.isInteger(field) || field < 0 || field > 65_535) {
        throw this.#fail(`terminal ${name} ${String(field)} is not an integer from 0 to 65535`);
      }
      size[name] = field;
    }
    return size;
  }

  #fail(message: string, cause?: unknown): ProtocolError {
    this.#broken = true;
    return new ProtocolError('ERR_CHANNEL', message, { cause });
  }
}
