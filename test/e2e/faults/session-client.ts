import { Buffer } from 'node:buffer';
import type { Readable } from 'node:stream';
import { exec } from '../../../src/client/index.ts';
import type { StreamOptions } from '../../../src/common/channels.ts';
import { ExecPathError, toError } from '../../../src/common/errors.ts';
import { failed, type Outcome } from '../../../src/common/outcome.ts';
import { outcomeOfErrorStream } from '../../../src/common/status.ts';
import { dialSpdy, openChannels } from '../../../src/httpstream/index.ts';
import {
  channelStreamSet,
  openStreamSet,
  type RemoteCommand,
  runRemoteCommand,
  type StreamSet,
} from '../../../src/remotecommand/index.ts';
import { CONTAINER } from './chain-pods.ts';
import { type Endpoint, transportTo } from './endpoint.ts';
import { protocolOf, READY, type SessionPlan } from './session-plan.ts';
import { shortLimits } from './short-limits.ts';

/** What a client saw of a session. */
export interface SessionSight {
  readonly outcome: Outcome;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** The bytes of the error stream say an exit code, whatever the client makes of them. The library does not show them. */
  readonly hasStatus: boolean;
}

/** A slow reader takes this much … */
const SLOW_BYTES = 32 * 1024;
/** … then nothing for so long, in ms. */
const SLOW_PAUSE_MS = 4;

/** Runs `plan` as a client of `apiserver`. Settles when the outcome is known and the connection is gone. */
export async function runPlan(plan: SessionPlan, apiserver: Endpoint): Promise<SessionSight> {
  const status: Buffer[] = [];
  let command: RemoteCommand;
  try {
    command = plan.client === 'library' ? await byLibrary(plan, apiserver) : await byHand(plan, apiserver, status);
  } catch (thrown) {
    const error = toError(thrown);
    if (!(error instanceof ExecPathError)) throw error;
    return { outcome: failed(error), stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), hasStatus: false };
  }
  command.resize({ width: 120, height: 40 });
  const stdout = collect(command.stdout, plan.reader);
  const stderr = collect(command.stderr, plan.reader);
  if (plan.stdin !== undefined && command.stdin !== undefined) {
    const { stdin } = command;
    if (plan.tty) stdout.onStart(READY.length, () => stdin.write(plan.stdin));
    else stdin.end(plan.stdin);
  }
  const outcome = await command.completed;
  await command.closed;
  const hasStatus = plan.client === 'library' || outcomeOfErrorStream(Buffer.concat(status)).kind === 'exited';
  return { outcome, stdout: stdout.bytes(), stderr: stderr.bytes(), hasStatus };
}

function streamsOf(plan: SessionPlan): StreamOptions {
  return { stdin: plan.stdin !== undefined, stdout: true, stderr: !plan.tty, tty: plan.tty };
}

async function byLibrary(plan: SessionPlan, apiserver: Endpoint): Promise<RemoteCommand> {
  return await exec({
    ...shortLimits,
    ...streamsOf(plan),
    api: transportTo(apiserver),
    pod: plan.pod,
    container: CONTAINER,
    command: plan.argv,
    transport: plan.transport === 'SPDY v4' ? 'spdy' : 'websocket',
  });
}

/** @param status gets the bytes of the error stream */
async function byHand(plan: SessionPlan, apiserver: Endpoint, status: Buffer[]): Promise<RemoteCommand> {
  const set = await openSession(plan, streamsOf(plan), apiserver);
  set.streams.error.on('data', (chunk: Buffer) => status.push(Buffer.from(chunk)));
  return runRemoteCommand(set);
}

async function openSession(plan: SessionPlan, options: StreamOptions, apiserver: Endpoint): Promise<StreamSet> {
  const path = `/api/v1/namespaces/default/pods/${plan.pod}/exec?${queryOf(plan, options)}`;
  const protocols = [protocolOf(plan.transport)];
  const timeoutMs = shortLimits.upgradeTimeoutMs;
  const socket = await transportTo(apiserver).connect(new URL(apiserver.url), { timeoutMs });
  if (plan.transport !== 'SPDY v4') {
    const session = await openChannels(socket, { ...shortLimits, path, host: 'apiserver', protocols, timeoutMs });
    return channelStreamSet(session, options);
  }
  const headers = [['Host', 'apiserver']] as const;
  const { session, protocol } = await dialSpdy(socket, { path, headers, protocols, timeoutMs, session: shortLimits });
  try {
    return await openStreamSet(session, protocol, options);
  } catch (thrown) {
    session.destroy(toError(thrown));
    throw thrown;
  }
}

function queryOf(plan: SessionPlan, options: StreamOptions): string {
  const query = new URLSearchParams(plan.argv.map((argument): [string, string] => ['command', argument]));
  for (const [name, wanted] of Object.entries(options)) if (wanted) query.append(name, 'true');
  return query.toString();
}

interface Collected {
  bytes(): Buffer;
  /** Calls back once so many bytes have come. */
  onStart(length: number, callback: () => void): void;
}

function collect(stream: Readable | undefined, reader: SessionPlan['reader']): Collected {
  const chunks: Buffer[] = [];
  let length = 0;
  let unpaused = 0;
  let start: { readonly length: number; readonly callback: () => void } | undefined;
  stream?.on('data', (chunk: Buffer) => {
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    unpaused += chunk.length;
    if (start !== undefined && length >= start.length) {
      start.callback();
      start = undefined;
    }
    if (reader === 'fast' || unpaused < SLOW_BYTES) return;
    unpaused = 0;
    stream.pause();
    setTimeout(() => stream.resume(), SLOW_PAUSE_MS);
  });
  return {
    bytes: () => Buffer.concat(chunks),
    onStart: (needed, callback) => {
      start = { length: needed, callback };
    },
  };
}
