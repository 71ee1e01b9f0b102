import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { ExecPathError } from '../common/errors.ts';
import type { Outcome } from '../common/outcome.ts';
import { type ConnectionLimits, type Listener, listen, refuseUpgrade, type TlsSource } from '../httpstream/index.ts';
import { serveRemoteCommand } from '../remotecommand/index.ts';
import { runExecSession } from './exec-session.ts';
import type { ExecTicket, Runtime } from './runtime.ts';

export interface StreamingServerOptions extends ConnectionLimits {
  /** Default 127.0.0.1. A token is all the right that a client needs, so keep it on loopback or use TLS. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  readonly tls?: TlsSource;
  /** How long a client may take to open its streams; 30 s. */
  readonly streamTimeoutMs?: number;
  /** How long a client may take to send the head of its request; 30 s. */
  readonly headersTimeoutMs?: number;
  /** After the client left: from hang-up to kill; 5 s. */
  readonly hangUpGraceMs?: number;
  /** After the command ended: for output of what it left behind; 2 s. */
  readonly drainAfterExitMs?: number;
  readonly onSession?: (session: StreamingReport) => void;
}

export interface StreamingReport {
  readonly sessionId: string;
  readonly containerId: string;
  readonly argv: readonly string[];
  /** Absent when the session begins. */
  readonly outcome?: Outcome;
}

/** Nothing is typed or read for so long: the session ends, in ms. CRI's value. */
export const STREAMING_IDLE_TIMEOUT_MS = 4 * 3_600_000;

/** Serves the URLs that the runtime hands out: `/exec/TOKEN` by GET and POST, SPDY and WebSocket up to v5. */
export function serveStreams(runtime: Runtime, options: StreamingServerOptions = {}): Promise<Listener> {
  return listen({
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    ...(options.headersTimeoutMs === undefined ? {} : { headersTimeoutMs: options.headersTimeoutMs }),
    onRequest: (request, response) => {
      request.resume();
      const { status, text } = requestAnswer(runtime, request);
      response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' });
      response.end(`${text}\n`);
    },
    onUpgrade: (request, socket, head) => void serveUpgrade(runtime, request, socket, head, options),
  });
}

/** Go's stock page: a used or expired token looks like no page at all. */
const NOT_FOUND = { status: 404, text: '404 page not found' };

/** A request that is no upgrade uses its token up as well. */
function requestAnswer(runtime: Runtime, request: IncomingMessage): { readonly status: number; readonly text: string } {
  return ticketOf(runtime, request) === undefined ? NOT_FOUND : { status: 400, text: 'Upgrade request required' };
}

function ticketOf(runtime: Runtime, request: IncomingMessage): ExecTicket | undefined {
  const [, kind, token, ...rest] = (request.url ?? '').split(/[/?]/);
  if (kind !== 'exec' || token === undefined || rest.length > 0) return undefined;
  if (request.method !== 'GET' && request.method !== 'POST') return undefined;
  return runtime.exec(token);
}

async function serveUpgrade(
  runtime: Runtime,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: StreamingServerOptions,
): Promise<void> {
  socket.on('error', () => {});
  const ticket = ticketOf(runtime, request);
  if (ticket === undefined) {
    refuseUpgrade(socket, NOT_FOUND.status, NOT_FOUND.text);
    return;
  }
  const { containerId, argv, ...streams } = ticket.request;
  const given = request.headers['audit-id'];
  const report = { sessionId: typeof given === 'string' ? given : randomUUID(), containerId, argv };
  options.onSession?.(report);
  const outcome = await serveRemoteCommand(
    { request, socket, head },
    streams,
    (session) =>
      runExecSession(session, {
        start: (size) => ticket.start(size),
        ...(options.hangUpGraceMs === undefined ? {} : { hangUpGraceMs: options.hangUpGraceMs }),
        ...(options.drainAfterExitMs === undefined ? {} : { drainAfterExitMs: options.drainAfterExitMs }),
      }),
    { idleTimeoutMs: STREAMING_IDLE_TIMEOUT_MS, ...limitsOf(options) },
  );
  options.onSession?.({ ...report, outcome: outcome ?? notStarted() });
}

function limitsOf(options: StreamingServerOptions): ConnectionLimits & { readonly streamTimeoutMs?: number } {
  const { pingIntervalMs, keepaliveTimeoutMs, idleTimeoutMs, streamTimeoutMs } = options;
  return {
    ...(pingIntervalMs === undefined ? {} : { pingIntervalMs }),
    ...(keepaliveTimeoutMs === undefined ? {} : { keepaliveTimeoutMs }),
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
    ...(streamTimeoutMs === undefined ? {} : { streamTimeoutMs }),
  };
}

function notStarted(): Outcome {
  const error = new ExecPathError(
    'ERR_STREAM_TIMEOUT',
    'the client never opened its streams, so the command was not started',
  );
  return { kind: 'failed', code: error.code, message: error.message, hop: 'client', error };
}
