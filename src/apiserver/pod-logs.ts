import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { ExecPathError } from '../common/errors.ts';
import { pods } from '../kubeapi/index.ts';
import {
  ApiError,
  badRequest,
  type FieldError,
  forbiddenField,
  invalid,
  invalidField,
  methodNotAllowed,
} from './api-error.ts';
import type { Exchange } from './exchange.ts';
import { containerOf, findPodLocation, type LocationOptions, type PodLocation } from './pod-location.ts';
import type { Registry } from './registry.ts';
import type { ResourceRequest } from './request-info.ts';
import { isTrue } from './request-info.ts';
import type { DialKubelet } from './streaming-route.ts';

/** How much of a kubelet's refusal is read, in bytes. */
const MAX_REFUSAL_BYTES = 64 * 1024;

export interface PodLogsOptions {
  readonly registry: Registry;
  readonly location: LocationOptions;
  /** Absent: logs are answered with 501. */
  readonly dialKubelet?: DialKubelet | undefined;
}

/** `GET pods/NAME/log`: asks the node's kubelet and passes on what it answers, as it comes. */
export class PodLogs {
  readonly #options: PodLogsOptions;

  constructor(options: PodLogsOptions) {
    this.#options = options;
  }

  /** Answers one request. @throws what becomes its Status */
  async serve(exchange: Exchange, { verb, namespace, name }: ResourceRequest): Promise<void> {
    if (verb !== 'get') throw methodNotAllowed();
    const { dialKubelet, registry, location: options } = this.#options;
    if (dialKubelet === undefined) {
      throw new ExecPathError('ERR_NOT_IMPLEMENTED', 'this server does not serve logs', { hop: 'apiserver' });
    }
    const { query, response, signal, auditId } = exchange;
    const told = logQueryOf(query, name);
    const asked = query.get('container') ?? '';
    const pod = await registry.get(pods, { namespace, name });
    if ((pod.spec.nodeName ?? '') === '') {
      // It has written nothing yet.
      containerOf(pod, asked);
      response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 0 }).end();
      return;
    }
    const location = await findPodLocation(
      registry,
      { namespace, pod: name, subresource: 'log', container: asked },
      options,
    );
    const socket = await dialed(dialKubelet, location, signal);
    const path = ['', 'containerLogs', namespace, name, location.container].map(encodeURIComponent).join('/');
    const answer = await ask(socket as Socket, location, {
      path: told.size === 0 ? path : `${path}?${told.toString()}`,
      auditId,
      signal,
    });
    const status = answer.statusCode ?? 0;
    if (status < 200 || status > 206) throw refusalOf(status, await textOf(answer), name);
    response.writeHead(200, { 'Content-Type': 'text/plain' });
    response.flushHeaders();
    // A log that breaks off must not end as a whole one does: the connection is cut.
    await pipeline(answer, response, { signal }).catch(() => response.destroy());
  }
}

async function dialed(dialKubelet: DialKubelet, location: PodLocation, signal: AbortSignal): ReturnType<DialKubelet> {
  try {
    return await dialKubelet(location, signal);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ExecPathError('ERR_DIAL', `Get "https://${location.authority}/containerLogs": ${why}`, {
      cause,
      hop: 'apiserver',
    });
  }
}

interface KubeletQuestion {
  readonly path: string;
  readonly auditId: string;
  readonly signal: AbortSignal;
}

function ask(
  socket: Socket,
  location: PodLocation,
  { path, auditId, signal }: KubeletQuestion,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      createConnection: () => socket,
      path,
      headers: { Host: location.authority, 'Audit-Id': auditId, Connection: 'close' },
      signal,
    });
    request.on('response', resolve);
    request.on('error', (cause) => {
      reject(
        new ExecPathError('ERR_CONNECTION_LOST', `the kubelet gave no answer: ${cause.message}`, {
          cause,
          hop: 'kubelet',
        }),
      );
    });
    request.end();
  });
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_REFUSAL_BYTES) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString().trimEnd();
}

/** What upstream makes of a kubelet's refusal. @see http-surfaces.md 2.6 */
function refusalOf(status: number, text: string, name: string): Error {
  switch (status) {
    case 400:
      return badRequest(text);
    case 404:
      return new ApiError('ERR_NOT_FOUND', `the server could not find the requested resource ( pods/log ${name})`, {
        name,
        kind: 'pods/log',
      });
    case 500:
      return new ApiError('ERR_INTERNAL', `Internal error occurred: ${text}`, { causes: [{ message: text }] });
    default: {
      const message = `the server responded with the status code ${status} but did not return more information ( pods/log ${name})`;
      return new ExecPathError('ERR_INTERNAL', message, { hop: 'kubelet' });
    }
  }
}

/** The query for the kubelet. @throws ApiError ERR_INVALID in upstream's words, ERR_BAD_REQUEST */
function logQueryOf(query: URLSearchParams, pod: string): URLSearchParams {
  const told = new URLSearchParams();
  for (const flag of ['follow', 'previous', 'timestamps']) if (isTrue(query.get(flag))) told.set(flag, 'true');
  const errors: FieldError[] = [];
  const number = (name: string, least: number, rule: string): void => {
    const text = query.get(name) ?? '';
    if (text === '') return;
    if (!/^-?\d{1,15}$/.test(text))
      throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
    if (Number(text) < least) errors.push(invalidField(name, Number(text), rule));
    told.set(name, text);
  };
  number('tailLines', 0, 'must be greater than or equal to 0');
  number('limitBytes', 1, 'must be greater than 0');
  number('sinceSeconds', 1, 'must be greater than 0');
  const since = query.get('sinceTime') ?? '';
  if (since !== '') {
    const at = new Date(since);
    if (Number.isNaN(at.valueOf())) throw badRequest(`sinceTime ${JSON.stringify(since)} is not a time of RFC 3339`);
    told.set('sinceTime', `${at.toISOString().slice(0, 19)}Z`);
    if (told.has('sinceSeconds')) {
      errors.push(forbiddenField('', 'at most one of `sinceTime` or `sinceSeconds` may be specified'));
    }
  }
  const stream = query.get('stream') ?? '';
  if (stream !== '' && stream !== 'All') told.set('stream', stream);
  if (errors.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, pod, errors);
  told.sort();
  return told;
}
