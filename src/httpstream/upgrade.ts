import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { ExecPathError, UpgradeError } from '../common/errors.ts';
import type { Status } from '../common/status.ts';
import { type HttpAnswer, HttpAnswerParser, type RawHeaders } from './http-answer.ts';
import { lingerAndDestroy } from './linger.ts';

/** How long an upgrade may take, from the request to the last byte of the answer, in ms. */
export const UPGRADE_ANSWER_TIMEOUT_MS = 30_000;

export interface UpgradeRequest {
  readonly method: 'GET' | 'POST';
  /** Path and query as they go on the request line, percent-encoded. */
  readonly path: string;
  /** All header lines, in order; `Host`, `Connection` and `Upgrade` are the caller's too. */
  readonly headers: RawHeaders;
}

export interface UpgradeAnswer {
  readonly status: 101;
  readonly headers: RawHeaders;
  /** Bytes of the new protocol that came with the answer: process them before the socket's own. */
  readonly head: Buffer;
}

export interface UpgradeOptions {
  /** Default {@link UPGRADE_ANSWER_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Sends an HTTP/1.1 upgrade on an already connected socket and waits for the answer.
 *
 * Writes nothing after the request: proxies lose bytes that come before their 101 (wire.md 1.1). On success the socket
 * is handed back paused. On any failure it is destroyed: a pipe behind a refused upgrade must not stay open.
 *
 * @throws UpgradeError ERR_UPGRADE_REFUSED any other answer, with its status, headers and up to 64 KiB of its body
 * @throws UpgradeError ERR_DIAL_TIMEOUT, ERR_CONNECTION_LOST with `httpStatus` 0
 * @throws ExecPathError ERR_ABORTED by `signal`; ERR_BAD_REQUEST when the request cannot stand on the wire
 */
export function requestUpgrade(
  socket: Duplex,
  request: UpgradeRequest,
  options: UpgradeOptions = {},
): Promise<UpgradeAnswer> {
  const { timeoutMs = UPGRADE_ANSWER_TIMEOUT_MS, signal } = options;
  return new Promise((resolve, reject) => {
    const parser = new HttpAnswerParser();
    const settle = (outcome: HttpAnswer | Error): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onError);
      // An error before the next owner listens must not end the process.
      socket.on('error', () => {});
      if (!(outcome instanceof Error) && outcome.status === 101) {
        socket.pause();
        resolve({ status: 101, headers: outcome.headers, head: outcome.head });
        return;
      }
      socket.destroy();
      reject(outcome instanceof Error ? outcome : refusalOf(outcome));
    };
    const onData = (chunk: Buffer): void => {
      let answer: HttpAnswer | undefined;
      try {
        answer = parser.push(chunk);
      } catch (error) {
        settle(error as Error);
        return;
      }
      if (answer !== undefined) settle(answer);
    };
    const onEnd = (): void => settle(parser.end() ?? lost('it ended'));
    const onError = (cause: Error): void => settle(parser.end() ?? lost(cause.message, cause));
    const onAbort = (): void =>
      settle(new ExecPathError('ERR_ABORTED', 'the caller gave up the upgrade', { cause: signal?.reason }));
    const timer = setTimeout(
      () => settle(noAnswer('ERR_DIAL_TIMEOUT', `the upgrade was not answered within ${timeoutMs} ms`)),
      timeoutMs,
    ).unref();
    signal?.addEventListener('abort', onAbort);
    socket.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError);
    if (signal?.aborted) onAbort();
    else if (socket.destroyed) settle(lost('it was closed', socket.errored ?? undefined));
    else writeRequest(socket, request, settle);
  });
}

function writeRequest(socket: Duplex, request: UpgradeRequest, fail: (error: Error) => void): void {
  if (!/^[\x21-\x7e]+$/.test(request.path)) {
    fail(new ExecPathError('ERR_BAD_REQUEST', `the path ${JSON.stringify(request.path)} is not percent-encoded`));
    return;
  }
  try {
    socket.write(`${request.method} ${request.path} HTTP/1.1\r\n${headerLines(request.headers)}\r\n`, 'latin1');
  } catch (error) {
    fail(error as Error);
  }
}

/** @throws ExecPathError ERR_BAD_REQUEST when a line would break the message into other lines */
function headerLines(headers: RawHeaders): string {
  return headers
    .map(([name, value]) => {
      if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
        throw new ExecPathError('ERR_BAD_REQUEST', `the header ${JSON.stringify(name)} cannot stand on one line`);
      }
      return `${name}: ${value}\r\n`;
    })
    .join('');
}

function lost(what: string, cause?: Error): UpgradeError {
  return noAnswer('ERR_CONNECTION_LOST', `the connection was lost before the upgrade was answered: ${what}`, cause);
}

function noAnswer(code: 'ERR_DIAL_TIMEOUT' | 'ERR_CONNECTION_LOST', message: string, cause?: Error): UpgradeError {
  return new UpgradeError(code, message, { httpStatus: 0, body: '' }, { cause });
}

/** The words are upstream's: people search for them. @see wire.md 1.1, client acceptance test */
function refusalOf({ status, headers, body }: HttpAnswer): UpgradeError {
  const message = `unable to upgrade connection: ${messageOf(body)}`;
  return new UpgradeError('ERR_UPGRADE_REFUSED', message, { httpStatus: status, body, headers });
}

function messageOf(body: string): string {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null) {
      for (const text of [Reflect.get(value, 'message'), Reflect.get(value, 'error')]) {
        if (typeof text === 'string' && text !== '') return text;
      }
    }
  } catch {
    // Not JSON: the text itself is the message.
  }
  return body.trim() === '' ? 'empty server response' : body.trim();
}

/**
 * Answers 101 on a raw socket from the server's 'upgrade' event. Writes exactly `headers`, in order.
 *
 * @throws ExecPathError ERR_BAD_REQUEST when a header cannot stand on one line
 */
export function answerUpgrade(socket: Duplex, headers: RawHeaders): void {
  socket.write(`HTTP/1.1 101 ${STATUS_CODES[101]}\r\n${headerLines(headers)}\r\n`, 'latin1');
}

/**
 * Refuses an upgrade on a raw socket and closes it: the answer is flushed, the peer gets time to read it, nothing that
 * follows is read as a request.
 *
 * @param body text becomes what Go's `http.Error` writes (plain text, a newline at its end); a Status becomes JSON
 * @param headers further header lines
 */
export function refuseUpgrade(socket: Duplex, status: number, body: string | Status, headers: RawHeaders = []): void {
  const text = typeof body === 'string';
  const bytes = Buffer.from(`${text ? body : JSON.stringify(body)}\n`);
  const lines: RawHeaders = [
    ['Content-Type', text ? 'text/plain; charset=utf-8' : 'application/json'],
    ...(text ? ([['X-Content-Type-Options', 'nosniff']] as const) : []),
    ...headers,
    ['Content-Length', String(bytes.length)],
    ['Connection', 'close'],
  ];
  socket.on('error', () => {});
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n${headerLines(lines)}\r\n`;
  socket.end(Buffer.concat([Buffer.from(head, 'latin1'), bytes]));
  void lingerAndDestroy(socket);
}
