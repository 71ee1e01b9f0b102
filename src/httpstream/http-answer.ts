import { UpgradeError } from '../common/errors.ts';
import { ChunkedBody } from './chunked-body.ts';

/** Header lines as they stand on the wire: order, case and repetition kept. */
export type RawHeaders = readonly (readonly [name: string, value: string])[];

/** The longest response head that is read, in bytes. */
export const MAX_ANSWER_HEAD_BYTES = 64 * 1024;

/** How much of a refusal's body is kept, in bytes; the rest is not read. */
export const MAX_ANSWER_BODY_BYTES = 64 * 1024;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: RawHeaders;
  /** What came after the head of a 101: the first bytes of the new protocol. Empty for other answers. */
  readonly head: Buffer;
  /** Decoded body of any other answer, at most {@link MAX_ANSWER_BODY_BYTES}. */
  readonly body: string;
}

/** All values of `name`, whatever its case, in order. */
export function headerValues(headers: RawHeaders, name: string): string[] {
  const wanted = name.toLowerCase();
  return headers.filter(([key]) => key.toLowerCase() === wanted).map(([, value]) => value);
}

/** Where the bytes of a body end. */
interface Body {
  /** @returns true when the body is complete */
  push(bytes: Buffer): boolean;
  readonly bytes: Buffer;
}

/**
 * Reads one HTTP/1.1 answer from pieces of any size: head, then either the first bytes of the new protocol (101) or the
 * body. Interim answers (100, 103) are skipped.
 *
 * Own parser, because an upgrade also runs over sockets that `http.request` cannot take: TLS through a proxy's tunnel,
 * a WebSocket that carries SPDY.
 */
export class HttpAnswerParser {
  #head: Buffer = Buffer.alloc(0);
  #answer: { readonly status: number; readonly headers: RawHeaders; readonly body: Body } | undefined;

  /**
   * @returns the answer when it is complete; what follows belongs to `head`, so stop pushing
   * @throws UpgradeError ERR_UPGRADE_REFUSED when the bytes are not HTTP or the head is too long
   */
  push(chunk: Buffer): HttpAnswer | undefined {
    let bytes = chunk;
    while (this.#answer === undefined) {
      this.#head = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes]);
      const end = endOfHead(this.#head);
      if (end === undefined) {
        if (this.#head.length > MAX_ANSWER_HEAD_BYTES)
          throw notHttp(`a head of more than ${MAX_ANSWER_HEAD_BYTES} bytes`);
        return undefined;
      }
      const { status, headers } = parseHead(this.#head.toString('latin1', 0, end));
      bytes = this.#head.subarray(end);
      this.#head = Buffer.alloc(0);
      if (status === 101) return { status, headers, head: bytes, body: '' };
      if (status >= 200) this.#answer = { status, headers, body: bodyOf(status, headers) };
    }
    return this.#answer.body.push(bytes) ? this.end() : undefined;
  }

  /**
   * The socket ended.
   *
   * @returns the answer with as much body as arrived, or undefined when not even the head is complete
   */
  end(): HttpAnswer | undefined {
    if (this.#answer === undefined) return undefined;
    const { status, headers, body } = this.#answer;
    return { status, headers, head: Buffer.alloc(0), body: body.bytes.toString() };
  }
}

/** Index after the empty line; a bare LF ends a line too, as in Go. */
function endOfHead(bytes: Buffer): number | undefined {
  const crlf = bytes.indexOf('\n\r\n');
  const lf = bytes.indexOf('\n\n');
  const ends = [crlf < 0 ? undefined : crlf + 3, lf < 0 ? undefined : lf + 2].filter((end) => end !== undefined);
  const end = Math.min(...ends);
  return end <= MAX_ANSWER_HEAD_BYTES ? end : undefined;
}

function parseHead(text: string): { status: number; headers: RawHeaders } {
  const [statusLine = '', ...lines] = text.split(/\r?\n/);
  const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1]);
  if (!(status >= 100)) throw notHttp(`the status line ${JSON.stringify(statusLine.slice(0, 200))}`);
  const headers = lines
    .filter((line) => line !== '')
    .map((line) => {
      const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/.exec(line) ?? [];
      if (name === undefined || value === undefined)
        throw notHttp(`the header line ${JSON.stringify(line.slice(0, 200))}`);
      return [name, value] as const;
    });
  return { status, headers };
}

function bodyOf(status: number, headers: RawHeaders): Body {
  if (/\bchunked\s*$/i.test(headerValues(headers, 'transfer-encoding').at(-1) ?? '')) {
    return new ChunkedBody(MAX_ANSWER_BODY_BYTES);
  }
  const [length] = headerValues(headers, 'content-length');
  const expected =
    status === 204 || status === 304 ? 0 : length === undefined ? Number.POSITIVE_INFINITY : Number(length);
  const wanted = Math.min(Number.isNaN(expected) ? Number.POSITIVE_INFINITY : expected, MAX_ANSWER_BODY_BYTES);
  let bytes = Buffer.alloc(0);
  return {
    push(more) {
      bytes = Buffer.concat([bytes, more.subarray(0, wanted - bytes.length)]);
      return bytes.length >= wanted;
    },
    get bytes() {
      return bytes;
    },
  };
}

function notHttp(what: string): UpgradeError {
  return new UpgradeError('ERR_UPGRADE_REFUSED', `the answer to the upgrade is not HTTP/1.1: it has ${what}`, {
    httpStatus: 0,
    body: '',
  });
}
