import type { ServerResponse } from 'node:http';
import { apiStatusOf, type StatusDetails } from './api-error.ts';

/** What stands on every answer of the API. */
export function setCommonHeaders(response: ServerResponse, auditId: string): void {
  response.setHeader('Audit-Id', auditId);
  response.setHeader('Cache-Control', 'no-cache, private');
}

/** Answers with one JSON object. */
export function sendJson(
  response: ServerResponse,
  status: number,
  object: unknown,
  contentType = 'application/json',
): void {
  response.statusCode = status;
  sendBytes(response, Buffer.from(`${JSON.stringify(object)}\n`), contentType);
}

/** Answers with bytes of some type. */
export function sendBytes(response: ServerResponse, body: Buffer, contentType: string): void {
  response.setHeader('Content-Type', contentType);
  response.setHeader('Content-Length', body.length);
  response.end(body);
}

/** Answers with plain text, as the health endpoints do. */
export function sendText(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Content-Length', Buffer.byteLength(text));
  response.end(text);
}

/**
 * Answers with the Status of `error`; when an answer has already begun, only the connection's end can tell.
 *
 * @returns the HTTP status that says it
 */
export function sendError(response: ServerResponse, error: unknown): number {
  const status = apiStatusOf(error);
  if (response.headersSent) {
    response.destroy();
    return status.code;
  }
  const { retryAfterSeconds }: StatusDetails = status.details ?? {};
  if (retryAfterSeconds !== undefined) response.setHeader('Retry-After', retryAfterSeconds);
  response.setHeader('X-Content-Type-Options', 'nosniff');
  sendJson(response, status.code, status);
  return status.code;
}
