import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { ExecPathError } from '../common/errors.ts';
import { isLoopback } from '../common/loopback.ts';
import { exited, failed, type Outcome } from '../common/outcome.ts';
import { isSessionId } from '../common/session-id.ts';
import type { TerminalSize } from '../common/terminal-size.ts';
import { type ConnectionLimits, type Listener, listen, refuseUpgrade, type TlsSource } from '../httpstream/index.ts';
import { type DialPort, servePortForward } from '../portforward/index.ts';
import { serveRemoteCommand } from '../remotecommand/index.ts';
import { runAttachSession } from './attach-session.ts';
import { runExecSession } from './exec-session.ts';
import type { AttachTicket, ExecTicket, PortForwardTicket, Runtime } from './runtime.ts';

export interface StreamingServerOptions extends ConnectionLimits {
  /** Default 127.0.0.1. A token is all the right that a client needs: without `tls` none but loopback is taken. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  readonly tls?: TlsSource;
  /** How long a client may take to open its streams, or both of a forwarded connection; 30 s. */
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
  readonly kind: Ticket['kind'];
  /** The container, or the pod sandbox of a port-forward. */
  readonly targetId: string;
  /** Empty but for exec. */
  readonly argv: readonly string[];
  /** Absent when the session begins. Code 0 for an attach or a port-forward that ended well. */
  readonly outcome?: Outcome;
}

/** Nothing is typed or read for so long: the session ends, in ms. CRI's value. */
export const STREAMING_IDLE_TIMEOUT_MS = 4 * 3_600_000;

/**
 * Serves the URLs that the runtime hands out: `/exec/TOKEN` and `/attach/TOKEN` by GET and POST, SPDY and WebSocket up to
 * v5; `/portforward/TOKEN` by SPDY, the tunnel and the older WebSocket form.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for an address that needs TLS, ERR_LISTEN
 */
export async function serveStreams(runtime: Runtime, options: StreamingServerOptions = {}): Promise<Listener> {
  const { host, tls } = options;
  if (host !== undefined && tls === undefined && !isLoopback(host)) {
    throw new ExecPathError(
      'ERR_BAD_REQUEST',
      `the stream address ${JSON.stringify(host)} is not on loopback: in plain HTTP the network would read the tokens that give a command on the node; give --stream-tls-cert-file and --stream-tls-key-file`,
      { hop: 'runtime' },
    );
  }
  return await listen({
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
    onUpgrade: (request, socket, head) => void serveUpgrade(runtime, { request, socket, head }, options),
  });
}

/** Go's stock page: a used or expired token looks like no page at all. */
const NOT_FOUND = { status: 404, text: '404 page not found' };

/** A request that is no upgrade uses its token up as well. */
function requestAnswer(runtime: Runtime, request: IncomingMessage): { readonly status: number; readonly text: string } {
  return ticketOf(runtime, request) === undefined ? NOT_FOUND : { status: 400, text: 'Upgrade request required' };
}

type Ticket =
  | ({ readonly kind: 'exec' } & ExecTicket)
  | ({ readonly kind: 'attach' } & AttachTicket)
  | ({ readonly kind: 'portforward' } & PortForwardTicket);

function ticketOf(runtime: Runtime, request: IncomingMessage): Ticket | undefined {
  const [, kind, token, ...rest] = (request.url ?? '').split(/[/?]/);
  if (token === undefined || rest.length > 0) return undefined;
  if (request.method !== 'GET' && request.method !== 'POST') return undefined;
  switch (kind) {
    case 'exec': {
      const ticket = runtime.exec(token);
      return ticket && { kind, ...ticket };
    }
    case 'attach': {
      const ticket = runtime.attach(token);
      return ticket && { kind, ...ticket };
    }
    case 'portforward': {
      const ticket = runtime.portForward(token);
      return ticket && { kind, ...ticket };
    }
    default:
      return undefined;
  }
}

/** An upgrade request on its raw socket. */
interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

async function serveUpgrade(runtime: Runtime, upgrade: Upgrade, options: StreamingServerOptions): Promise<void> {
  const { request, socket } = upgrade;
  socket.on('error', () => {});
  const ticket = ticketOf(runtime, request);
  if (ticket === undefined) {
    refuseUpgrade(socket, NOT_FOUND.status, NOT_FOUND.text);
    return;
  }
  const given = request.headers['audit-id'];
  const report = {
    sessionId: isSessionId(given) ? given : randomUUID(),
    kind: ticket.kind,
    targetId: ticket.kind === 'portforward' ? ticket.request.podSandboxId : ticket.request.containerId,
    argv: ticket.kind === 'exec' ? ticket.request.argv : [],
  };
  options.onSession?.(report);
  const outcome = await serveTicket(ticket, upgrade, options);
  options.onSession?.({ ...report, outcome: outcome ?? notStarted() });
}

/** @returns undefined when the session never began; the client has its answer then */
async function serveTicket(
  ticket: Ticket,
  upgrade: Upgrade,
  options: StreamingServerOptions,
): Promise<Outcome | undefined> {
  const limits = { idleTimeoutMs: STREAMING_IDLE_TIMEOUT_MS, ...limitsOf(options) };
  switch (ticket.kind) {
    case 'exec': {
      const { hangUpGraceMs, drainAfterExitMs } = options;
      const exec = {
        start: (size?: TerminalSize) => ticket.start(size),
        ...(hangUpGraceMs === undefined ? {} : { hangUpGraceMs }),
        ...(drainAfterExitMs === undefined ? {} : { drainAfterExitMs }),
      };
      return await serveRemoteCommand(upgrade, ticket.request, (session) => runExecSession(session, exec), limits);
    }
    case 'attach':
      return await serveRemoteCommand(
        upgrade,
        ticket.request,
        (session) => runAttachSession(session, () => ticket.start()),
        limits,
      );
    case 'portforward': {
      const { podSandboxId, ports } = ticket.request;
      const pod = { id: podSandboxId, uid: '' };
      const dial: DialPort = (port, stop) => ticket.dial(port, stop);
      const end = await servePortForward(upgrade, { dial, pod, ports, ...limits });
      if (end === undefined) return undefined;
      return end.reason.kind === 'clean' ? exited(0) : failed(end.reason.error);
    }
  }
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
  const error = new ExecPathError('ERR_STREAM_TIMEOUT', 'the client never opened its streams, so nothing was started');
  return { kind: 'failed', code: error.code, message: error.message, hop: 'client', error };
}
