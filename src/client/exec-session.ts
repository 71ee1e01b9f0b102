import type { Readable, Writable } from 'node:stream';
import { ExecPathError } from '../common/errors.ts';
import type { Outcome } from '../common/outcome.ts';
import type { TerminalSize } from '../common/terminal-size.ts';
import type { Transport } from '../kubeapi/index.ts';
import { type RemoteCommand, runRemoteCommand, type StreamSet } from '../remotecommand/index.ts';
import { locateOutcome } from './failing-hop.ts';
import { traceSession } from './session-trace.ts';

/** A command that runs in a container. */
export interface ExecSession extends AsyncDisposable {
  /** `end()` is the command's EOF. What is written after the command stopped reading goes nowhere. */
  readonly stdin: Writable | undefined;
  /** Read it or `resume()` it: unread output stops the command, as a full pipe does. */
  readonly stdout: Readable | undefined;
  /** As stdout; undefined with a TTY. */
  readonly stderr: Readable | undefined;
  /** The local terminal has a new size. Does nothing without a TTY. */
  resize(size: TerminalSize): void;
  /** Gives up: the connection is gone at once, and the server ends the command. */
  abort(cause?: Error): void;
  readonly transport: 'websocket' | 'spdy';
  /** Negotiated stream protocol, such as `v5.channel.k8s.io`. */
  readonly protocol: string;
  /** `Audit-ID` of the session, in the logs of each hop that keeps to it. */
  readonly sessionId: string;
  readonly container: string;
  /** The one outcome, after the last byte of output was received. Never rejects. */
  readonly completed: Promise<Outcome>;
  /** Settles when the connection is gone, at or after `completed`. Never rejects. */
  readonly closed: Promise<void>;
}

export interface SessionFacts {
  readonly api: Transport;
  readonly sessionId: string;
  readonly container: string;
  readonly size?: TerminalSize | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly outputEndTimeoutMs?: number | undefined;
}

/** The session on an open stream set. Owns: the set's connection, and the listener at `signal`. */
export function startSession(set: StreamSet, facts: SessionFacts): ExecSession {
  const { api, sessionId, container, size, signal, outputEndTimeoutMs } = facts;
  const command: RemoteCommand = runRemoteCommand(set, { outputEndTimeoutMs });
  traceSession(sessionId, 'open', () => `${set.transport} ${set.protocol || '(no subprotocol)'}`);
  const onAbort = (): void => {
    command.abort(
      new ExecPathError('ERR_ABORTED', 'the caller gave up the session', { cause: signal?.reason, hop: 'client' }),
    );
  };
  const completed = command.completed.then(async (outcome) => {
    signal?.removeEventListener('abort', onAbort);
    const located = locateOutcome(outcome, api);
    traceSession(sessionId, 'end', () => textOf(located));
    return located;
  });
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  if (size !== undefined) command.resize(size);
  const { stdin, stdout, stderr, closed } = command;
  return {
    stdin,
    stdout,
    stderr,
    resize: (newSize) => command.resize(newSize),
    abort: (cause) => command.abort(cause),
    transport: set.transport,
    protocol: set.protocol,
    sessionId,
    container,
    completed,
    closed,
    [Symbol.asyncDispose]: async () => {
      command.abort();
      await closed;
    },
  };
}

function textOf(outcome: Outcome): string {
  return outcome.kind === 'exited' ? `exited ${outcome.code}` : `failed ${outcome.code}: ${outcome.message}`;
}
