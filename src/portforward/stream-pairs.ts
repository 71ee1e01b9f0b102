import type { Duplex } from 'node:stream';
import type { IncomingStream, SpdyHeaders, SpdyStream } from '../httpstream/index.ts';
import { parsePort } from './port.ts';

/** The two streams of one forwarded connection, as the server has them. */
export interface StreamPair {
  /** `requestid`, or what stands in for it. */
  readonly id: string;
  readonly port: number;
  readonly data: Duplex;
  /** Empty: no error. The client writes nothing on it. */
  readonly error: Duplex;
}

/** How long a client may take to open the second stream of a pair, in ms. */
export const PAIR_TIMEOUT_MS = 30_000;

export interface StreamPairsOptions {
  /** Forwards one connection; settles when its streams are done with. */
  readonly onPair: (pair: StreamPair) => Promise<void>;
  /** Default {@link PAIR_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
}

type StreamKind = 'data' | 'error';

interface Pair {
  readonly timer: NodeJS.Timeout;
  data?: SpdyStream;
  error?: SpdyStream;
}

/**
 * Pairs the streams that a client opens: one `data` and one `error` of the same `requestid`, in any order.
 *
 *     none ─first stream→ half ─the other→ forwarding ─onPair settles→ none · half ─timeoutMs→ text on error, none
 *
 * Refused by RST_STREAM: a `port` that is none, a `streamtype` that is neither, a second stream of one type; the latter
 * is told on the pair's error stream too. Unlike upstream, what is left of a pair that timed out is reset, so that it
 * does not count against the session for the rest of its life.
 *
 * Owns: the timers. @see wire.md 5.1
 */
export class StreamPairs {
  readonly #options: StreamPairsOptions;
  readonly #pairs = new Map<string, Pair>();

  constructor(options: StreamPairsOptions) {
    this.#options = options;
  }

  /** Pairs that are half there or forwarding. */
  get size(): number {
    return this.#pairs.size;
  }

  /** The `onStream` of the session. */
  offer(incoming: IncomingStream): void {
    const { headers } = incoming;
    const kind = headers.get('streamtype') ?? '';
    const said = headers.get('requestid') ?? '';
    if (!isKind(kind) || !hasPort(headers) || this.#refusesSecond(said, kind)) {
      incoming.reject();
      return;
    }
    const stream = incoming.accept();
    const id = said === '' ? String(kind === 'error' ? stream.id : stream.id - 2) : said;
    if (said === '' && this.#refusesSecond(id, kind)) {
      stream.destroy();
      return;
    }
    const pair = this.#pairs.get(id) ?? this.#begin(id);
    pair[kind] = stream;
    this.#forwardIfWhole(id, pair);
  }

  /** The connection is over: nobody waits for anything any more. */
  close(): void {
    for (const { timer } of this.#pairs.values()) clearTimeout(timer);
    this.#pairs.clear();
  }

  #begin(id: string): Pair {
    const pair: Pair = {
      timer: setTimeout(() => this.#giveUp(id), this.#options.timeoutMs ?? PAIR_TIMEOUT_MS).unref(),
    };
    this.#pairs.set(id, pair);
    return pair;
  }

  #forwardIfWhole(id: string, pair: Pair): void {
    const { data, error, timer } = pair;
    if (data === undefined || error === undefined) return;
    clearTimeout(timer);
    const port = parsePort(data.headers.get('port') ?? '');
    const forget = (): void => {
      if (this.#pairs.get(id) === pair) this.#pairs.delete(id);
    };
    void this.#options.onPair({ id, port, data, error }).then(forget, forget);
  }

  #refusesSecond(id: string, kind: StreamKind): boolean {
    const pair = this.#pairs.get(id);
    if (pair?.[kind] === undefined) return false;
    const text = `error processing stream for request ${id}: ${kind} stream already assigned`;
    if (pair.error?.writable) pair.error.write(text);
    return true;
  }

  #giveUp(id: string): void {
    const pair = this.#pairs.get(id);
    this.#pairs.delete(id);
    pair?.data?.destroy();
    const error = pair?.error;
    error?.resume();
    error?.end(`(request=${id}) timed out waiting for streams`, () => error.destroy());
  }
}

function isKind(text: string): text is StreamKind {
  return text === 'data' || text === 'error';
}

function hasPort(headers: SpdyHeaders): boolean {
  try {
    parsePort(headers.get('port') ?? '');
    return true;
  } catch {
    return false;
  }
}
