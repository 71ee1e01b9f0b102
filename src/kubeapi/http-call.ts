import { type Agent, type IncomingMessage, request } from 'node:http';
import { ExecPathError, type Hop } from '../common/errors.ts';
import type { CallLimit } from './call-limit.ts';
import { publishCall } from './call-trace.ts';
import type { RequestHeaders } from './credentials.ts';
import { hostOf, portOf } from './host-port.ts';
import type { Transport } from './transport.ts';

export interface HttpCall {
  readonly method: string;
  readonly url: URL;
  readonly headers: RequestHeaders;
  readonly body?: Buffer | undefined;
  readonly limit: CallLimit;
  /** Absent: a connection of its own, closed with the answer. */
  readonly pool?: Agent | undefined;
}

/**
 * Sends one request and waits for the head of its answer; redirects are answers like any other.
 *
 * @throws what the transport threw, or the limit's reason, or ERR_CONNECTION_LOST
 */
export async function sendCall(transport: Transport, call: HttpCall): Promise<IncomingMessage> {
  const startedAt = performance.now();
  try {
    const answer = await sendAgainIfStale(transport, call);
    const auditId = answer.headers['audit-id'];
    publishCall(call, startedAt, { httpStatus: answer.statusCode, auditId: [auditId].flat()[0] });
    return answer;
  } catch (thrown) {
    const error = call.limit.errorOf(thrown);
    publishCall(call, startedAt, { error });
    throw error;
  }
}

/** The server closed an idle connection just as we took it. Only what changes nothing may be said twice. */
async function sendAgainIfStale(transport: Transport, call: HttpCall): Promise<IncomingMessage> {
  try {
    return await sendOnce(transport, call);
  } catch (thrown) {
    const { code, reused } = thrown as { code?: string; reused?: boolean };
    const isStale = reused === true && (code === 'ECONNRESET' || code === 'EPIPE');
    if (!isStale || call.method !== 'GET' || call.limit.signal.aborted) throw thrown;
    return sendOnce(transport, { ...call, pool: undefined });
  }
}

function sendOnce(transport: Transport, call: HttpCall): Promise<IncomingMessage> {
  const { method, url, headers, body, limit, pool } = call;
  return new Promise<IncomingMessage>((resolve, reject) => {
    limit.signal.throwIfAborted();
    const ask = request({
      method,
      host: hostOf(url),
      port: portOf(url),
      path: `${url.pathname}${url.search}`,
      headers: { Host: url.host, ...headers, ...(body === undefined ? {} : { 'Content-Length': body.length }) },
      signal: limit.signal,
      ...(pool === undefined
        ? {
            createConnection: (_options, done) => {
              transport.connect(url, { signal: limit.signal }).then(
                (socket) => done(null, socket),
                (error: Error) => done(error, undefined as never),
              );
              return null;
            },
          }
        : { agent: pool }),
    });
    ask.once('response', resolve);
    // Stays for the life of the request: after the answer began, its stream tells.
    ask.on('error', (cause) => reject(Object.assign(cause, { reused: ask.reusedSocket })));
    ask.end(body);
  });
}

/**
 * The whole body, and only when it is whole.
 *
 * @throws ExecPathError ERR_API_ANSWER above `maxBytes`; ERR_CONNECTION_LOST when it was cut
 */
export function readBody(
  answer: IncomingMessage,
  { maxBytes, limit, hop }: { maxBytes: number; limit: CallLimit; hop: Hop },
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise<string>((resolve, reject) => {
    answer.on('data', (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > maxBytes) {
        const message = `the API answered with more than ${maxBytes} bytes: ask for less, by limit or selector`;
        answer.destroy(new ExecPathError('ERR_API_ANSWER', message, { hop }));
      }
    });
    answer.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    answer.on('error', (cause) => reject(limit.errorOf(cause)));
    answer.once('close', () => reject(limit.errorOf(new Error('the answer was cut'))));
  });
}
