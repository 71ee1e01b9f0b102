import { streamChannels } from '../common/channels.ts';
import { toError, UpgradeError } from '../common/errors.ts';
import { spdyOffer, subprotocols } from '../common/subprotocols.ts';
import { dialSpdy, openChannels, type RawHeaders } from '../httpstream/index.ts';
import type { RequestHeaders, Transport } from '../kubeapi/index.ts';
import { channelStreamSet, openStreamSet, type StreamSet } from '../remotecommand/index.ts';
import type { SessionDeadlines } from './exec-options.ts';
import { type ExecRequest, execUrl } from './exec-request.ts';
import { errorOfRefusal } from './failing-hop.ts';
import { traceSession } from './session-trace.ts';
import { mayFallBack, type TransportPreference } from './transport-choice.ts';

/** Bytes that a socket takes before back-pressure: few large reads pay off for bulk over TLS. */
const SOCKET_BUFFER_BYTES = 1024 * 1024;

export interface OpenSessionOptions extends SessionDeadlines {
  readonly transport: TransportPreference;
  readonly sessionId: string;
  readonly userAgent: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects and upgrades, WebSocket v5 first, SPDY where {@link mayFallBack} allows it.
 *
 * @throws ApiStatusError, UpgradeError the last answer, with its hop; ERR_DIAL, ERR_DIAL_TIMEOUT, ERR_ABORTED …
 */
export async function openSession(
  api: Transport,
  request: ExecRequest,
  options: OpenSessionOptions,
): Promise<StreamSet> {
  const attempt = { api, request, url: execUrl(api, request), options };
  try {
    if (options.transport === 'spdy') return await withCredentials(attempt, overSpdy);
    return await withCredentials(attempt, overWebSocket).catch((thrown: unknown) => {
      if (options.transport === 'websocket' || !mayFallBack(thrown)) throw thrown;
      return withCredentials(attempt, overSpdy);
    });
  } catch (thrown) {
    throw errorOfRefusal(thrown, api);
  }
}

interface Attempt {
  readonly api: Transport;
  readonly request: ExecRequest;
  readonly url: URL;
  readonly options: OpenSessionOptions;
}

type Open = (attempt: Attempt, headers: RawHeaders) => Promise<StreamSet>;

/** A 401 is followed by one more try when new credentials can be had. */
async function withCredentials(attempt: Attempt, open: Open): Promise<StreamSet> {
  const { api, options } = attempt;
  const name = open === overSpdy ? 'SPDY' : 'WebSocket';
  for (let renewed = false; ; renewed = true) {
    const identity = await api.headers();
    traceSession(options.sessionId, 'dial', () => `${name} to ${api.hop} ${attempt.url.href}`);
    try {
      return await open(attempt, headerLines(identity, options));
    } catch (thrown) {
      traceSession(options.sessionId, 'refused', () => `${name}: ${toError(thrown).message}`);
      const isUnauthorized = thrown instanceof UpgradeError && thrown.httpStatus === 401;
      if (isUnauthorized && !renewed && (await api.renew(identity))) continue;
      throw thrown;
    }
  }
}

function headerLines(identity: RequestHeaders, { sessionId, userAgent }: OpenSessionOptions): RawHeaders {
  const lines = Object.entries(identity).flatMap(([name, values]) =>
    [values].flat().map((value) => [name, value] as const),
  );
  return [['User-Agent', userAgent], ['Audit-ID', sessionId], ...lines];
}

async function overWebSocket({ api, request, url, options }: Attempt, headers: RawHeaders): Promise<StreamSet> {
  const socket = await api.connect(url, connectOptions(options));
  const { stdout, stderr, error, stdin, resize } = streamChannels;
  const session = await openChannels(socket, {
    path: url.pathname + url.search,
    host: url.host,
    protocols: [subprotocols.v5],
    headers,
    readable: [...(request.stdout ? [stdout] : []), ...(request.stderr && !request.tty ? [stderr] : []), error],
    writable: [...(request.stdin ? [stdin] : []), ...(request.tty ? [resize] : [])],
    ...answerOptions(options),
    ...deadlines(options),
  });
  return channelStreamSet(session, request);
}

async function overSpdy({ api, request, url, options }: Attempt, headers: RawHeaders): Promise<StreamSet> {
  const socket = await api.connect(url, connectOptions(options));
  const { session, protocol } = await dialSpdy(socket, {
    path: url.pathname + url.search,
    headers: [['Host', url.host], ...headers],
    protocols: spdyOffer,
    ...answerOptions(options),
    session: deadlines(options),
  });
  try {
    return await openStreamSet(session, protocol, request, signalOf(options));
  } catch (thrown) {
    session.destroy(toError(thrown));
    throw thrown;
  }
}

function connectOptions(options: OpenSessionOptions): Parameters<Transport['connect']>[1] {
  return { signal: options.signal, timeoutMs: options.dialTimeoutMs, highWaterMark: SOCKET_BUFFER_BYTES };
}

function answerOptions(options: OpenSessionOptions): { timeoutMs?: number; signal?: AbortSignal } {
  const { upgradeTimeoutMs } = options;
  return { ...(upgradeTimeoutMs === undefined ? {} : { timeoutMs: upgradeTimeoutMs }), ...signalOf(options) };
}

function signalOf({ signal }: OpenSessionOptions): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function deadlines({ pingIntervalMs, keepaliveTimeoutMs, idleTimeoutMs, streamTimeoutMs }: SessionDeadlines): {
  pingIntervalMs?: number;
  keepaliveTimeoutMs?: number;
  idleTimeoutMs?: number;
  streamTimeoutMs?: number;
} {
  return {
    ...(pingIntervalMs === undefined ? {} : { pingIntervalMs }),
    ...(keepaliveTimeoutMs === undefined ? {} : { keepaliveTimeoutMs }),
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
    ...(streamTimeoutMs === undefined ? {} : { streamTimeoutMs }),
  };
}
