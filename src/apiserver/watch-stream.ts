import { randomInt } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { apiStatusOf } from './api-error.ts';
import { type EventLines, lineOf } from './event-lines.ts';
import type { Exchange } from './exchange.ts';
import type { WatchQuery } from './list-query.ts';
import { type AnswerForm, answerFormOf } from './media-negotiation.ts';
import { filterOf } from './object-query.ts';
import type { ObjectWatchEvent } from './object-watch.ts';
import type { Registry } from './registry.ts';
import type { Resource } from './resource.ts';
import { includeObjectOf, tableOf } from './tables.ts';

/** How long a watch lasts at least that names no time itself; at most twice that, so that not all end at once. */
export const MIN_WATCH_MS = 1_800_000;

/** How often a watch that asked for bookmarks gets one. */
export const BOOKMARK_INTERVAL_MS = 60_000;

/** How long a watcher may leave what was sent unread before it is dropped. */
export const WATCH_STALL_MS = 60_000;

export interface WatchLimits {
  /** `--min-request-timeout`; default {@link MIN_WATCH_MS}. */
  readonly minWatchMs?: number;
  /** Default {@link BOOKMARK_INTERVAL_MS}. */
  readonly bookmarkIntervalMs?: number;
  /** Default {@link WATCH_STALL_MS}. */
  readonly stallMs?: number;
}

export interface WatchOptions {
  readonly registry: Registry;
  readonly resource: Resource;
  readonly query: WatchQuery;
  readonly limits: WatchLimits;
  /** Shared by all watches. */
  readonly lines: EventLines;
}

/**
 * Answers a watch: one JSON event a line, until its time is over, the client or the server goes, or the store has
 * forgotten what it needs; the last is told as an ERROR event with a Status.
 *
 * Nothing is queued for a slow reader but what the socket holds.
 *
 * @throws ExecPathError before anything is sent: selectors and Accept
 */
export async function serveWatch(exchange: Exchange, options: WatchOptions): Promise<void> {
  const { request, response } = exchange;
  const { registry, resource, query, limits, lines } = options;
  const form = answerFormOf(request.headers.accept ?? '');
  filterOf(resource, query.query);
  const stream = new WatchStream(response, { resource, form, include: includeObjectOf(exchange.query), lines });
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const timer = setTimeout(end, query.timeoutMs ?? lifetimeOf(limits)).unref();
  const bookmarks = query.allowBookmarks
    ? setInterval(() => stream.sendBookmark(), limits.bookmarkIntervalMs ?? BOOKMARK_INTERVAL_MS).unref()
    : undefined;
  exchange.signal.addEventListener('abort', end);
  if (exchange.signal.aborted) end();
  try {
    stream.begin();
    const afterRevision = query.after === 'newest' ? await registry.revision() : query.after;
    const { sendInitialEvents } = query;
    const start = { afterRevision, sendInitialEvents, signal: ending.signal };
    for await (const event of registry.watch(resource, query.query, start)) {
      if (stream.send(event) || ending.signal.aborted) continue;
      await drained(response, limits.stallMs ?? WATCH_STALL_MS, ending.signal);
    }
    if (query.allowBookmarks) stream.sendBookmark();
  } catch (error) {
    stream.sendError(error);
  } finally {
    clearTimeout(timer);
    clearInterval(bookmarks);
    exchange.signal.removeEventListener('abort', end);
    response.end();
  }
}

function lifetimeOf({ minWatchMs = MIN_WATCH_MS }: WatchLimits): number {
  return minWatchMs + randomInt(minWatchMs + 1);
}

interface Shown {
  readonly resource: Resource;
  readonly form: AnswerForm;
  readonly include: 'Object' | 'Metadata' | 'None';
  readonly lines: EventLines;
}

/** The lines of one watch. */
class WatchStream {
  readonly #response: ServerResponse;
  readonly #resource: Resource;
  readonly #form: AnswerForm;
  readonly #include: Shown['include'];
  readonly #lines: EventLines;
  /** kubectl wants the columns of a table once. */
  #hasColumns = false;
  /** The newest bookmark that has not been sent. */
  #bookmark: ObjectWatchEvent | undefined;

  constructor(response: ServerResponse, { resource, form, include, lines }: Shown) {
    this.#response = response;
    this.#resource = resource;
    this.#form = form;
    this.#include = include;
    this.#lines = lines;
  }

  /** Sends the head, so that the client knows at once that it watches. */
  begin(): void {
    this.#response.statusCode = 200;
    this.#response.setHeader('Content-Type', 'application/json');
    this.#response.flushHeaders();
  }

  /** @returns false when the reader is behind */
  send(event: ObjectWatchEvent): boolean {
    if (event.type === 'BOOKMARK' && !event.endsInitialEvents) {
      this.#bookmark = event;
      return true;
    }
    this.#bookmark = undefined;
    if (event.type !== 'BOOKMARK' && this.#form.form === 'object')
      return this.#response.write(this.#lines.lineOf(event));
    return this.#write(event.type, this.#shown(event));
  }

  /** Says how far the watch has come, unless nothing has happened or the reader is behind anyway. */
  sendBookmark(): void {
    if (this.#bookmark === undefined || this.#response.writableNeedDrain) return;
    this.#write('BOOKMARK', this.#shown(this.#bookmark));
    this.#bookmark = undefined;
  }

  /** The last line. */
  sendError(error: unknown): void {
    this.#write('ERROR', apiStatusOf(error));
  }

  #shown(event: ObjectWatchEvent): unknown {
    if (this.#form.form === 'object') {
      if (event.type !== 'BOOKMARK') return event.object;
      const { name: _, ...metadata } = event.object.metadata;
      return { ...event.object, metadata };
    }
    const metadata = { resourceVersion: event.object.metadata.resourceVersion ?? '' };
    const objects = event.type === 'BOOKMARK' ? [] : [event.object];
    const withColumns = !this.#hasColumns;
    this.#hasColumns = true;
    return tableOf(this.#resource, objects, { ...this.#form, metadata, include: this.#include, withColumns });
  }

  #write(type: ObjectWatchEvent['type'] | 'ERROR', object: unknown): boolean {
    return this.#response.write(lineOf(type, object));
  }
}

/** Waits until the reader has caught up; one that does not in time is dropped. */
function drained(response: ServerResponse, stallMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      response.off('drain', settle).off('close', settle);
      signal.removeEventListener('abort', settle);
      resolve();
    };
    const timer = setTimeout(() => {
      response.destroy();
      settle();
    }, stallMs);
    response.on('drain', settle).on('close', settle);
    signal.addEventListener('abort', settle);
    if (response.destroyed || signal.aborted) settle();
  });
}
