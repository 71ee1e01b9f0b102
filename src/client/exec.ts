import { randomUUID } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import type { StreamOptions } from '../common/channels.ts';
import { ExecPathError, type Hop, toError, UpgradeError } from '../common/errors.ts';
import { failed, type Outcome } from '../common/outcome.ts';
import { spdyOffer, subprotocols } from '../common/subprotocols.ts';
import type { TerminalSize } from '../common/terminal-size.ts';
import { type ConnectionLimits, dialSpdy, openChannels, type RawHeaders } from '../httpstream/index.ts';
import type { Transport } from '../kubeapi/index.ts';
import { channelStreamSet, openStreamSet, type RemoteCommand, runRemoteCommand } from '../remotecommand/index.ts';
import { type ExecTarget, execLocation } from './exec-location.ts';

/** How sessions are asked for: `auto` is WebSocket v5, and SPDY when the server refuses that. */
export type TransportPreference = 'auto' | 'websocket' | 'spdy';

export interface ExecOptions extends ExecTarget, ConnectionLimits {
  /** How the server is reached and who asks. */
  readonly transport: Transport;
  /** What `transport` leads to; default `apiserver`. */
  readonly server?: 'apiserver' | 'kubelet';
  /** argv; no shell is involved. */
  readonly command: readonly string[];
  /** Default false. */
  readonly stdin?: boolean;
  /** Default true. */
  readonly stdout?: boolean;
  /** Default true without a terminal; a terminal has none. */
  readonly stderr?: boolean;
  /** Default false. */
  readonly tty?: boolean;
  /** Of the terminal at the start. */
  readonly size?: TerminalSize;
  /** Default `auto`. */
  readonly preference?: TransportPreference;
  /** Gives up, at any time: `exec` rejects, or `completed` fails with ERR_ABORTED. */
  readonly signal?: AbortSignal;
  /** For dialing and for the upgrade's answer, each; default 30 s. */
  readonly timeoutMs?: number;
  /** Sent with the upgrade request, such as `User-Agent`. */
  readonly headers?: RawHeaders;
}

/** One running command. */
export interface ExecSession {
  /** `end()` is the command's EOF. */
  readonly stdin: Writable | undefined;
  /** Must be read or resumed: unread output stops the command. */
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  /** Without a terminal it does nothing. */
  resize(size: TerminalSize): void;
  /** Gives up at once. */
  abort(cause?: Error): void;
  /** The one outcome: exited with a code, or failed at a hop. Settles once, never rejects, after the last byte of output. */
  readonly completed: Promise<Outcome>;
  /** Settles when the connection is gone; never rejects. */
  readonly closed: Promise<void>;
  /** The negotiated stream protocol. */
  readonly protocol: string;
  /** The `Audit-ID` of the session, at every hop that keeps it. */
  readonly sessionId: string;
}

/**
 * Runs a command in a container.
 *
 * WebSocket v5 first; SPDY exactly when upstream falls back: any HTTP answer that is no proper 101. A server that
 * cannot be reached, or an error after the 101, is not tried again.
 *
 * @throws ExecPathError that names the hop: ERR_DIAL, ERR_UPGRADE_REFUSED and others before the session exists
 */
export async function exec(options: ExecOptions): Promise<ExecSession> {
  const tty = options.tty === true;
  const streams: StreamOptions = {
    stdin: options.stdin === true,
    stdout: options.stdout !== false,
    stderr: !tty && options.stderr !== false,
    tty,
  };
  const sessionId = randomUUID();
  const { preference = 'auto' } = options;
  if (preference === 'spdy') return await overSpdy(options, streams, sessionId);
  try {
    return await overWebSocket(options, streams, sessionId);
  } catch (thrown) {
    const refused = thrown instanceof UpgradeError && thrown.httpStatus > 0;
    if (!refused || preference === 'websocket') throw explained(thrown, options);
    return await overSpdy(options, streams, sessionId);
  }
}

async function overWebSocket(options: ExecOptions, streams: StreamOptions, sessionId: string): Promise<ExecSession> {
  const { socket, path, host, headers } = await dial(options, streams, sessionId);
  const session = await openChannels(socket, {
    ...limitsOf(options),
    path,
    host,
    headers,
    protocols: [subprotocols.v5],
    ...waiting(options),
  });
  return sessionOf(runRemoteCommand(channelStreamSet(session, streams)), session.protocol, sessionId, options);
}

async function overSpdy(options: ExecOptions, streams: StreamOptions, sessionId: string): Promise<ExecSession> {
  try {
    const { socket, path, host, headers } = await dial(options, streams, sessionId);
    const { session, protocol } = await dialSpdy(socket, {
      path,
      headers: [['Host', host], ...headers],
      protocols: spdyOffer,
      session: limitsOf(options),
      ...waiting(options),
    });
    const set = await openStreamSet(
      session,
      protocol,
      streams,
      options.signal === undefined ? {} : { signal: options.signal },
    );
    return sessionOf(runRemoteCommand(set), protocol, sessionId, options);
  } catch (thrown) {
    throw explained(thrown, options);
  }
}

async function dial(
  options: ExecOptions,
  streams: StreamOptions,
  sessionId: string,
): Promise<{ socket: Awaited<ReturnType<Transport['connect']>>; path: string; host: string; headers: RawHeaders }> {
  const { transport, server = 'apiserver' } = options;
  const location = execLocation(server, options, options.command, streams);
  const url = transport.url(location.path, location.query);
  const identity = await transport.headers();
  const socket = await transport.connect(url, { ...waiting(options), highWaterMark: SOCKET_BUFFER_BYTES });
  const credentials = Object.entries(identity).flatMap(([name, value]) =>
    [value].flat().map((single): [string, string] => [name, String(single)]),
  );
  return {
    socket,
    path: url.pathname + url.search,
    host: url.host,
    headers: [...credentials, ['Audit-ID', sessionId], ...(options.headers ?? [])],
  };
}

/** Bulk output comes in few large reads. */
const SOCKET_BUFFER_BYTES = 1024 * 1024;

function waiting({ signal, timeoutMs }: ExecOptions): { signal?: AbortSignal; timeoutMs?: number } {
  return { ...(signal === undefined ? {} : { signal }), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}

function limitsOf({ pingIntervalMs, keepaliveTimeoutMs, idleTimeoutMs }: ExecOptions): ConnectionLimits {
  return {
    ...(pingIntervalMs === undefined ? {} : { pingIntervalMs }),
    ...(keepaliveTimeoutMs === undefined ? {} : { keepaliveTimeoutMs }),
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
  };
}

function sessionOf(command: RemoteCommand, protocol: string, sessionId: string, options: ExecOptions): ExecSession {
  const { signal, size } = options;
  const giveUp = (): void =>
    command.abort(new ExecPathError('ERR_ABORTED', 'the session was given up', { hop: 'client' }));
  signal?.addEventListener('abort', giveUp, { once: true });
  if (signal?.aborted) giveUp();
  void command.closed.then(() => signal?.removeEventListener('abort', giveUp));
  if (size !== undefined) command.resize(size);
  return {
    stdin: command.stdin,
    stdout: command.stdout,
    stderr: command.stderr,
    resize: command.resize,
    abort: command.abort,
    completed: command.completed.then((outcome) => placed(outcome, hopOf(options))),
    closed: command.closed,
    protocol,
    sessionId,
  };
}

function hopOf({ server = 'apiserver' }: ExecOptions): Hop {
  return server;
}

/** A loss is noticed here and happened between here and the server, or beyond it: the server is the hop to look at. */
function placed(outcome: Outcome, hop: Hop): Outcome {
  return outcome.kind === 'failed' && outcome.hop === undefined
    ? failed(outcome.error, outcome.code === 'ERR_ABORTED' ? 'client' : hop)
    : outcome;
}

/** Gives a failure its hop and a refusal the message of its Status, as kubectl shows it. */
function explained(thrown: unknown, options: ExecOptions): Error {
  const error = toError(thrown);
  if (error instanceof UpgradeError && error.hop === undefined) {
    return new UpgradeError(error.code, error.message, error, { cause: error.cause, hop: hopOf(options) });
  }
  if (error instanceof ExecPathError && error.hop === undefined) {
    return new ExecPathError(error.code, error.message, { cause: error, hop: hopOf(options) });
  }
  return error;
}
