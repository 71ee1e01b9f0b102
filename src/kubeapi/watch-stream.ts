import type { IncomingMessage } from 'node:http';
import { ExecPathError, type Hop } from '../common/errors.ts';
import { ApiStatusError } from './api-error.ts';
import { explainDialError } from './dial-error.ts';
import type { WatchBookmark, WatchChange, WatchEvent } from './watch-event.ts';

/** The longest line of a watch, in bytes. Upstream stores no object above 1.5 MiB. */
export const MAX_EVENT_BYTES = 8 * 1024 * 1024;

export interface WatchStreamOptions {
  readonly path: string;
  readonly hop: Hop;
  /** Silence after which the connection counts as dead. */
  readonly silenceMs: number;
  /** The one that breaks the answer off. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The events of a watch, as they come; a slow reader holds the server back. Owns: the answer.
 *
 * @throws ApiStatusError for an ERROR event; ExecPathError ERR_API_TIMEOUT, ERR_API_ANSWER, ERR_CONNECTION_LOST
 */
export async function* readWatch<T>(
  answer: IncomingMessage,
  options: WatchStreamOptions,
): AsyncGenerator<WatchChange<T> | WatchBookmark> {
  const { path, hop, silenceMs } = options;
  const lines = new LineSplitter(options);
  const chunks = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let silence: NodeJS.Timeout | undefined;
  try {
    for (;;) {
      silence = setTimeout(() => {
        const message = `the watch of ${path} was silent for ${silenceMs} ms`;
        answer.destroy(new ExecPathError('ERR_API_TIMEOUT', message, { hop }));
      }, silenceMs).unref();
      const next = await chunks.next();
      clearTimeout(silence);
      if (next.done === true) return;
      for (const line of lines.push(next.value)) yield readEvent<T>(line, options);
    }
  } catch (cause) {
    if (cause instanceof ExecPathError) throw cause;
    const code = options.signal?.aborted === true ? 'ERR_ABORTED' : 'ERR_CONNECTION_LOST';
    throw new ExecPathError(code, `the watch of ${path} broke: ${explainDialError(cause)}`, { cause, hop });
  } finally {
    clearTimeout(silence);
    answer.destroy();
  }
}

function readEvent<T>(line: string, { path, hop }: WatchStreamOptions): WatchChange<T> | WatchBookmark {
  let event: WatchEvent<T>;
  try {
    event = JSON.parse(line) as WatchEvent<T>;
  } catch (cause) {
    const message = `the watch of ${path} sent a line that is not JSON: ${JSON.stringify(line.slice(0, 256))}`;
    throw new ExecPathError('ERR_API_ANSWER', message, { cause, hop });
  }
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      return event;
    case 'ERROR':
      throw new ApiStatusError(event.object, event.object.code ?? 500, { hop });
    default:
      throw new ExecPathError('ERR_API_ANSWER', `the watch of ${path} sent ${JSON.stringify(line.slice(0, 256))}`, {
        hop,
      });
  }
}

/** Cuts bytes at newlines; a line may come in any number of pieces. */
class LineSplitter {
  readonly #options: WatchStreamOptions;
  #pieces: Buffer[] = [];
  #size = 0;

  constructor(options: WatchStreamOptions) {
    this.#options = options;
  }

  /** The lines that end in `chunk`; empty ones are left out. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.#keep(chunk.subarray(start, end));
      const line = Buffer.concat(this.#pieces).toString('utf8').trim();
      this.#pieces = [];
      this.#size = 0;
      start = end + 1;
      if (line !== '') lines.push(line);
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return lines;
  }

  #keep(piece: Buffer): void {
    this.#size += piece.length;
    if (this.#size > MAX_EVENT_BYTES) {
      const message = `the watch of ${this.#options.path} sent a line longer than ${MAX_EVENT_BYTES} bytes`;
      throw new ExecPathError('ERR_API_ANSWER', message, { hop: this.#options.hop });
    }
    this.#pieces.push(piece);
  }
}
