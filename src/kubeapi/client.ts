import type { IncomingMessage } from 'node:http';
import { arch, platform } from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';
import { ExecPathError } from '../common/errors.ts';
import type { Status } from '../common/status.ts';
import { apiErrorOf } from './api-error.ts';
import { CallLimit } from './call-limit.ts';
import {
  CALL_TIMEOUT_MS,
  type CallOptions,
  type DeleteOptions,
  type KubeClientOptions,
  type ListOptions,
  MAX_ANSWER_BYTES,
  type ObjectOptions,
  type PatchOptions,
  patchTypes,
  type Query,
  type WatchOptions,
} from './call-options.ts';
import { ConnectionPool } from './connection-pool.ts';
import { readBody, sendCall } from './http-call.ts';
import type { List } from './list.ts';
import type { KubeObject } from './object-meta.ts';
import { apiVersionOf, type ResourceAddress, type ResourceType, resourcePath } from './resource-type.ts';
import type { Transport } from './transport.ts';
import type { WatchBookmark, WatchChange } from './watch-event.ts';
import { readWatch } from './watch-stream.ts';

/** A call that is told to come back later (429) does so this often, within its deadline. */
const MAX_RETRIES = 3;
/** The server ends a watch itself; this much later we do. */
const WATCH_GRACE_MS = 30_000;

/**
 * Kubernetes REST over a {@link Transport}.
 *
 * Every call throws ApiStatusError for what the API refused, and ERR_DIAL, ERR_API_TIMEOUT, ERR_ABORTED,
 * ERR_CONNECTION_LOST or ERR_API_ANSWER otherwise. Owns: its idle connections, until `close`.
 */
export class KubeClient {
  readonly transport: Transport;
  readonly #options: KubeClientOptions;
  #pool: ConnectionPool;
  #generation = 0;

  constructor(transport: Transport, options: KubeClientOptions = {}) {
    this.transport = transport;
    this.#options = options;
    this.#pool = new ConnectionPool(transport);
  }

  get<T>(type: ResourceType<T>, name: string, options: ObjectOptions = {}): Promise<T> {
    return this.call<T>('GET', this.#path(type, { ...options, name }), options);
  }

  /** Without a namespace: of all namespaces. One page when `limit` is set. */
  list<T>(type: ResourceType<T>, options: ListOptions = {}): Promise<List<T>> {
    return this.call<List<T>>('GET', resourcePath(type, options), { ...options, query: listQuery(options) });
  }

  create<T extends KubeObject>(type: ResourceType<T>, object: T, options: ObjectOptions = {}): Promise<T> {
    const { name } = object.metadata;
    // A subresource is created below its object: tokens, bindings, evictions.
    const address = { ...options, namespace: namespaceOf(object, options) };
    const path = options.subresource === undefined ? this.#path(type, address) : this.#path(type, { ...address, name });
    return this.call<T>('POST', path, { ...options, body: withKind(type, object) });
  }

  /** Replaces an object; a `resourceVersion` in it makes that conditional (409 Conflict). */
  update<T extends KubeObject>(type: ResourceType<T>, object: T, options: ObjectOptions = {}): Promise<T> {
    const address = { ...options, namespace: namespaceOf(object, options), name: object.metadata.name };
    return this.call<T>('PUT', this.#path(type, address), { ...options, body: withKind(type, object) });
  }

  patch<T>(type: ResourceType<T>, name: string, patch: unknown, options: PatchOptions = {}): Promise<T> {
    const contentType = patchTypes[options.patchType ?? 'strategic'];
    return this.call<T>('PATCH', this.#path(type, { ...options, name }), { ...options, body: patch, contentType });
  }

  /** @returns the object as it is now (perhaps with a deletionTimestamp), or a Status when it is gone */
  delete<T>(type: ResourceType<T>, name: string, options: DeleteOptions = {}): Promise<T | Status> {
    const { gracePeriodSeconds, propagationPolicy, preconditions } = options;
    // In the body: of a call that has one, the server does not look at the query.
    const dryRun = options.dryRun === true ? ['All'] : undefined;
    const what = { gracePeriodSeconds, propagationPolicy, preconditions, dryRun };
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', ...what };
    return this.call<T | Status>('DELETE', this.#path(type, { ...options, name }), { ...options, body });
  }

  /**
   * One watch, to its end: it returns when the server ends it and throws when it breaks; 410 is an ApiStatusError.
   * Breaking out of the loop closes the connection.
   */
  async *watch<T>(type: ResourceType<T>, options: WatchOptions = {}): AsyncGenerator<WatchChange<T> | WatchBookmark> {
    const timeoutSeconds = options.timeoutSeconds ?? 300;
    const allowWatchBookmarks = options.bookmarks ?? true;
    const query = { ...listQuery(options), watch: true, allowWatchBookmarks, timeoutSeconds };
    const path = resourcePath(type, options);
    const answer = await this.stream('GET', path, { ...options, query });
    const silenceMs = timeoutSeconds * 1000 + WATCH_GRACE_MS;
    yield* readWatch<T>(answer, { path, hop: this.transport.hop, silenceMs, signal: options.signal });
  }

  /** Any request with a JSON answer. */
  async call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const { hop } = this.transport;
    const limit = this.#limit(`${method} ${path}`, options);
    try {
      const answer = await this.#answer(method, path, { ...options, limit, pooled: true });
      const body = await readBody(answer, { maxBytes: this.#maxBytes, limit, hop });
      return parseAnswer<T>(body, `${method} ${path}`, this.transport);
    } finally {
      limit.end();
    }
  }

  /**
   * Any request whose answer is read as it comes: logs, watches. The deadline ends with the head; the signal stays in
   * force: it breaks the answer off with ECONNRESET. The caller owns the answer: read it to its end or destroy it.
   */
  async stream(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const limit = this.#limit(`${method} ${path}`, options);
    try {
      const answer = await this.#answer(method, path, { ...options, limit, pooled: false });
      limit.stopClock();
      answer.once('close', () => limit.end());
      return answer;
    } catch (cause) {
      limit.end();
      throw cause;
    }
  }

  /** Closes idle connections; what is under way goes on. */
  close(): void {
    this.#pool.retire();
  }

  /** A 2xx answer, after new credentials for a 401 and patience for a 429. */
  async #answer(
    method: string,
    path: string,
    options: CallOptions & { readonly limit: CallLimit; readonly pooled: boolean },
  ): Promise<IncomingMessage> {
    const { limit, pooled, query, accept = 'application/json', contentType = 'application/json' } = options;
    const { hop } = this.transport;
    const url = this.transport.url(path, query === undefined ? undefined : searchOf(query));
    const body = bodyOf(options.body);
    for (let attempt = 0, renewed = false; ; attempt += 1) {
      const identity = await limit.untimed(this.transport.headers());
      const headers = {
        'User-Agent': this.#options.userAgent ?? `podwire (${platform}/${arch})`,
        Accept: accept,
        ...(body === undefined ? {} : { 'Content-Type': contentType }),
        ...identity,
        ...options.headers,
      };
      const pool = pooled ? await limit.untimed(this.#currentPool()) : undefined;
      const answer = await sendCall(this.transport, { method, url, headers, body, limit, pool });
      this.#warn(answer);
      const code = answer.statusCode ?? 0;
      if (code >= 200 && code < 300) return answer;
      const text = await readBody(answer, { maxBytes: this.#maxBytes, limit, hop });
      if (code === 401 && !renewed && (await limit.untimed(this.transport.renew(identity)))) {
        renewed = true;
        continue;
      }
      const pause = code === 429 ? Number(answer.headers['retry-after']) * 1000 : Number.NaN;
      if (attempt >= MAX_RETRIES || !(pause >= 0)) {
        throw apiErrorOf({ request: `${method} ${path}`, httpStatus: code, body: text }, { hop });
      }
      await wait(pause, undefined, { signal: limit.signal }).catch((cause: unknown) => {
        throw limit.errorOf(cause);
      });
    }
  }

  /** After a rotation new requests take new connections, so that they show the new certificate. */
  async #currentPool(): Promise<ConnectionPool> {
    const generation = await this.transport.tlsGeneration();
    if (generation !== this.#generation && this.#generation !== 0) {
      this.#pool.retire();
      this.#pool = new ConnectionPool(this.transport);
    }
    this.#generation = generation;
    return this.#pool;
  }

  #limit(call: string, { signal, timeoutMs = this.#options.timeoutMs ?? CALL_TIMEOUT_MS }: CallOptions): CallLimit {
    return new CallLimit(call, { signal, timeoutMs, hop: this.transport.hop });
  }

  get #maxBytes(): number {
    return this.#options.maxAnswerBytes ?? MAX_ANSWER_BYTES;
  }

  /** The transport's namespace stands in where one is needed. */
  #path(type: ResourceType<unknown>, address: ResourceAddress): string {
    return resourcePath(type, { ...address, namespace: address.namespace ?? this.transport.namespace });
  }

  #warn(answer: IncomingMessage): void {
    const { onWarning } = this.#options;
    if (onWarning === undefined) return;
    for (const [, text] of (answer.headers['warning'] ?? '').matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)) {
      onWarning((text ?? '').replace(/\\(.)/g, '$1'));
    }
  }
}

function listQuery(options: ListOptions): Query {
  const { labelSelector, fieldSelector, limit, resourceVersion } = options;
  return { ...options.query, labelSelector, fieldSelector, limit, continue: options.continue, resourceVersion };
}

function searchOf(query: Query): URLSearchParams {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === '') continue;
    for (const item of Array.isArray(value) ? (value as readonly string[]) : [String(value)]) search.append(name, item);
  }
  search.sort();
  return search;
}

function bodyOf(body: unknown): Buffer | undefined {
  if (body === undefined) return undefined;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body), 'utf8');
}

function namespaceOf(object: KubeObject, options: ObjectOptions): string | undefined {
  return options.namespace ?? object.metadata.namespace;
}

/** The items of a typed list carry no kind; what is sent must. */
function withKind<T extends KubeObject>(type: ResourceType<T>, object: T): T {
  const apiVersion = apiVersionOf(type);
  return { apiVersion, kind: type.kind, ...object };
}

function parseAnswer<T>(body: string, call: string, { hop }: Transport): T {
  try {
    return JSON.parse(body) as T;
  } catch (cause) {
    const message = `${call} was answered with something that is not JSON: ${JSON.stringify(body.slice(0, 256))}`;
    throw new ExecPathError('ERR_API_ANSWER', message, { cause, hop });
  }
}
