import { type Agent, type IncomingMessage, type ServerResponse, request as sendRequest } from 'node:http';
import { pipeline } from 'node:stream';
import { ExecPathError, toError } from '../../common/errors.ts';
import { hostOf, portOf, type RequestHeaders, type Transport } from '../../kubeapi/index.ts';
import type { CallerIdentity } from './caller-identity.ts';

/** Headers that belong to one connection: RFC 9110 7.6.1. */
const hopByHop: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** Set by ourselves on every request to the cluster. */
const ownHeaders: readonly string[] = ['host', 'x-forwarded-for', 'audit-id'];

export interface ForwardOptions {
  readonly transport: Transport;
  /** Keeps connections to the cluster. */
  readonly pool: Agent;
  readonly identity: CallerIdentity;
  readonly auditId: string;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
  /** How long the cluster may take to begin its answer; default {@link ANSWER_TIMEOUT_MS}. */
  readonly answerTimeoutMs?: number | undefined;
}

/** As long as an apiserver lets a request take that is no watch, in ms; watches and logs begin their answers at once. */
const ANSWER_TIMEOUT_MS = 60_000;

/**
 * Sends a request on and streams the answer back, whatever it is: an object, a watch, a log. Both ways with back-pressure,
 * and each part as soon as it comes. An answer that is cut is cut for the client too.
 *
 * @throws ExecPathError ERR_UPSTREAM, before anything was answered
 */
export async function forwardRequest(
  request: IncomingMessage,
  response: ServerResponse,
  options: ForwardOptions,
): Promise<void> {
  const answer = await answerOf(request, options);
  response.statusCode = answer.statusCode ?? 502;
  for (const [name, values] of Object.entries(answer.headersDistinct)) {
    if (!hopByHop.includes(name) && values !== undefined) response.setHeader(name, values);
  }
  response.flushHeaders();
  await new Promise<void>((resolve) => {
    // Of an answer that breaks off, pipeline destroys the response: its client sees no regular end.
    pipeline(answer, response, () => resolve());
  });
}

/** Credentials of ours that the cluster refuses are got anew, once; a body cannot be sent twice. */
async function answerOf(request: IncomingMessage, options: ForwardOptions): Promise<IncomingMessage> {
  const { identity } = options;
  const headers = await identity.headers();
  const answer = await send(request, headers, options);
  if (!refusesUs(answer.statusCode ?? 0, identity)) return answer;
  answer.resume();
  const isRenewed = await identity.renew(headers);
  if (isRenewed && !hasBody(request)) return await send(request, await identity.headers(), options);
  throw ownCredentialsError(isRenewed);
}

/** Whether an answer of the cluster is about our own credentials: a caller that is known here is not asked for any. */
export function refusesUs(status: number, { user }: CallerIdentity): boolean {
  return status === 401 && user !== undefined;
}

/** What the client hears when {@link refusesUs}. */
export function ownCredentialsError(isRenewed: boolean): ExecPathError {
  const remedy = isRenewed ? 'they were renewed: try again' : 'look at the user of --upstream-kubeconfig';
  return upstreamError(`it refuses this apiserver's own credentials (401); ${remedy}`);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

async function send(
  request: IncomingMessage,
  identity: RequestHeaders,
  options: ForwardOptions,
): Promise<IncomingMessage> {
  const { transport, pool, signal, answerTimeoutMs = ANSWER_TIMEOUT_MS } = options;
  const url = transport.url(request.url ?? '/');
  let late: NodeJS.Timeout | undefined;
  try {
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const onward = sendRequest({
        agent: pool,
        host: hostOf(url),
        port: portOf(url),
        method: request.method,
        path: url.pathname + url.search,
        headers: { ...forwardedHeaders(request, options), ...identity, Host: url.host },
        signal,
      });
      onward.once('response', resolve).on('error', reject);
      late = setTimeout(() => onward.destroy(new Error(`no answer within ${answerTimeoutMs} ms`)), answerTimeoutMs);
      if (hasBody(request)) pipeline(request, onward, () => {});
      else onward.end();
    });
  } catch (cause) {
    throw upstreamError(toError(cause).message, cause);
  } finally {
    clearTimeout(late);
  }
}

/** By `X-Remote-*` a front proxy says who calls: nobody but such a proxy may. */
export function isFrontProxy(name: string): boolean {
  return name.startsWith('x-remote-');
}

/** What the cluster gets of the client's headers, all lines of each name. */
function forwardedHeaders(
  request: IncomingMessage,
  { identity, auditId }: ForwardOptions,
): Record<string, string | string[]> {
  const named = (request.headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  const left = new Set([...hopByHop, ...ownHeaders, ...identity.drop, ...named]);
  const headers: Record<string, string | string[]> = {};
  for (const [name, values] of Object.entries(request.headersDistinct)) {
    if (!left.has(name) && !isFrontProxy(name) && values !== undefined)
      headers[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  const hops = [request.headers['x-forwarded-for'], request.socket.remoteAddress].flat();
  const known = hops.filter((hop) => hop !== undefined && hop !== '').join(', ');
  const chunked = hasBody(request) && request.headers['content-length'] === undefined;
  return {
    ...headers,
    'Audit-ID': auditId,
    ...(known === '' ? {} : { 'X-Forwarded-For': known }),
    ...(chunked ? { 'Transfer-Encoding': 'chunked' } : {}),
  };
}

/** The cluster could not be asked. */
export function upstreamError(message: string, cause?: unknown): ExecPathError {
  return new ExecPathError('ERR_UPSTREAM', `the cluster behind this apiserver cannot be reached: ${message}`, {
    cause,
    hop: 'apiserver',
  });
}
