import type { IncomingMessage } from 'node:http';
import { ExecPathError } from '../common/errors.ts';
import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import { badRequest } from './api-error.ts';
import { decodeProtobuf, PROTOBUF_MEDIA_TYPE } from './protobuf-object.ts';

/** The largest body, in bytes: upstream's limit. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** How long a client may take to send a body, in ms. */
export const BODY_TIMEOUT_MS = 30_000;

/** How deep objects and lists may nest; real ones stay below 20. */
const MAX_DEPTH = 100;

export interface BodyOptions {
  /** Default {@link MAX_BODY_BYTES}. */
  readonly maxBytes?: number;
  /** Default {@link BODY_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
}

/** The type of a body without its parameters, in lower case; `''` when the header is missing. */
export function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/**
 * Reads the whole body of a request.
 *
 * @throws ExecPathError ERR_BODY_TOO_LARGE, ERR_REQUEST_TIMEOUT, ERR_CONNECTION_LOST; ERR_MEDIA_TYPE for a
 * Content-Encoding. The connection cannot be used again then.
 */
export async function readBody(request: IncomingMessage, options: BodyOptions = {}): Promise<Buffer> {
  const { maxBytes = MAX_BODY_BYTES, timeoutMs = BODY_TIMEOUT_MS } = options;
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    throw new ExecPathError(
      'ERR_MEDIA_TYPE',
      `a body with Content-Encoding ${JSON.stringify(encoding)} is not read here`,
    );
  }
  const tooLarge = (): ExecPathError =>
    new ExecPathError('ERR_BODY_TOO_LARGE', `Request entity too large: limit is ${maxBytes}`, { hop: 'apiserver' });
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      if (error === undefined) resolve(Buffer.concat(chunks));
      else {
        request.on('error', () => {}).pause();
        reject(error);
      }
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > maxBytes) settle(tooLarge());
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle();
    const onError = (cause: Error): void => settle(lost(cause));
    const onClose = (): void => settle(lost(undefined));
    const timer = setTimeout(() => {
      settle(new ExecPathError('ERR_REQUEST_TIMEOUT', `the body did not arrive within ${timeoutMs} ms`));
    }, timeoutMs);
    request.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  });
}

function lost(cause: unknown): ExecPathError {
  return new ExecPathError('ERR_CONNECTION_LOST', 'the client ended the connection within the body', { cause });
}

/** An object as it came. */
export interface ObjectBody {
  readonly object: JsonObject;
  /** The JSON that it was read from; `''` when it was none. */
  readonly json: string;
}

/**
 * Reads an object from a body: JSON, or protobuf as kubelets and many clients send it.
 *
 * @returns undefined when there is no body
 * @throws ExecPathError ERR_MEDIA_TYPE, ERR_BAD_REQUEST, and what {@link readBody} throws
 */
export async function readObject(request: IncomingMessage, options?: BodyOptions): Promise<JsonObject | undefined> {
  return (await readObjectBody(request, options))?.object;
}

/** The same with its text. */
export async function readObjectBody(request: IncomingMessage, options?: BodyOptions): Promise<ObjectBody | undefined> {
  const type = mediaTypeOf(request);
  if (type !== '' && type !== 'application/json' && type !== PROTOBUF_MEDIA_TYPE) throw unknownMediaType(type);
  const body = await readBody(request, options);
  if (body.length === 0) return undefined;
  if (type === PROTOBUF_MEDIA_TYPE) return { object: boundedDepth(decodeProtobuf(body)), json: '' };
  return { object: parseJsonObject(body), json: body.toString() };
}

/** @throws ExecPathError ERR_BAD_REQUEST */
export function parseJsonObject(body: Buffer): JsonObject {
  const value = parseJson(body);
  if (!isJsonObject(value)) throw badRequest('the body must be a JSON object');
  return value;
}

/** @throws ExecPathError ERR_BAD_REQUEST for what is not JSON, not UTF-8, or nested too deep */
export function parseJson(body: Buffer): unknown {
  return boundedDepth(parseText(textOf(body)));
}

function boundedDepth<T>(value: T): T {
  if (isDeeperThan(value, MAX_DEPTH)) throw badRequest(`the body nests deeper than ${MAX_DEPTH} levels`);
  return value;
}

function textOf(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw badRequest('the body is not UTF-8', cause);
  }
}

/** The engine's own words differ from one of its versions to the next: they stay with the cause. */
function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw badRequest(text.trim() === '' ? 'the body is empty: JSON is needed' : 'the body is not JSON', cause);
  }
}

/** A media type that is not read here, and which are. */
export function unknownMediaType(type: string, accepted: readonly string[] = ['application/json']): ExecPathError {
  return new ExecPathError(
    'ERR_MEDIA_TYPE',
    `the body of the request was in an unknown format - ${JSON.stringify(type)} is not among the accepted media types: ${accepted.join(', ')}`,
    { hop: 'apiserver' },
  );
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((field) => isDeeperThan(field, levels - 1));
}
