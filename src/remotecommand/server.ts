import type { IncomingMessage } from 'node:http';
import { type Duplex, finished, type Readable, type Writable } from 'node:stream';
import { type StreamOptions, streamChannels } from '../common/channels.ts';
import { ExecPathError, toError } from '../common/errors.ts';
import { failed, type Outcome } from '../common/outcome.ts';
import { statusOfOutcome } from '../common/status.ts';
import { spdyAccept, webSocketAccept } from '../common/subprotocols.ts';
import { type TerminalSize, TerminalSizeDecoder } from '../common/terminal-size.ts';
import {
  acceptChannels,
  acceptSpdy,
  type ConnectionLimits,
  type IncomingStream,
  isWebSocketUpgrade,
} from '../httpstream/index.ts';
import { channelStreamSet, StreamCollector, type StreamSet } from './stream-set.ts';

/** The session as the one who runs the command sees it. */
export interface ServerSession {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  readonly tty: boolean;
  /** Aborted when the client is gone: the command is to be told and then ended. */
  readonly signal: AbortSignal;
  /** Sizes of the client's terminal, the first as soon as it arrives; only with a TTY. */
  onResize(listener: (size: TerminalSize) => void): void;
}

/**
 * Runs the command. Writes all output before it resolves; the streams are ended by the caller.
 * May throw: that becomes a failed outcome.
 */
export type RunCommand = (session: ServerSession) => Promise<Outcome>;

export interface ServeOptions extends ConnectionLimits {
  /** How long the client may take to open its streams; 30 s. */
  readonly streamTimeoutMs?: number;
}

/**
 * Serves one exec or attach request: upgrade, stream set, command, Status, close.
 *
 * negotiate ─refused→ end · collect ─timeout, client gone→ close, the command never starts
 * · run ─client gone→ `signal` · run ─command done→ flush output ─→ Status ─→ close
 *
 * Owns: the socket. Never rejects.
 *
 * @returns what became of the command; undefined when it was never started (the client has its answer then)
 */
export async function serveRemoteCommand(
  { request, socket, head }: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  options: StreamOptions,
  run: RunCommand,
  serveOptions: ServeOptions = {},
): Promise<Outcome | undefined> {
  const set = await acceptStreamSet(request, socket, head, options, serveOptions);
  return set && (await serveStreamSet(set, options, run));
}

async function acceptStreamSet(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: StreamOptions,
  serveOptions: ServeOptions,
): Promise<StreamSet | undefined> {
  if (isWebSocketUpgrade(request)) {
    const session = acceptChannels(request, socket, head, {
      ...serveOptions,
      protocols: webSocketAccept,
      ...channelDirections(options),
    });
    return session && channelStreamSet(session, options);
  }
  let collector: StreamCollector | undefined;
  const early: IncomingStream[] = [];
  const accepted = acceptSpdy(request, socket, head, spdyAccept, {
    ...serveOptions,
    onStream: (incoming) => (collector === undefined ? early.push(incoming) : collector.offer(incoming)),
  });
  if (accepted === undefined) return undefined;
  collector = new StreamCollector(options, accepted.protocol);
  for (const incoming of early) collector.offer(incoming);
  try {
    return await collector.collect(accepted.session, accepted.protocol, serveOptions.streamTimeoutMs);
  } catch (cause) {
    accepted.session.destroy(toError(cause));
    return undefined;
  }
}

/** Which WebSocket channels a server reads and writes. All others are ignored on receipt. */
export function channelDirections(options: StreamOptions): { readable: number[]; writable: number[] } {
  const readable = [...(options.stdin ? [streamChannels.stdin] : []), ...(options.tty ? [streamChannels.resize] : [])];
  const writable = [
    ...(options.stdout ? [streamChannels.stdout] : []),
    ...(options.stderr && !options.tty ? [streamChannels.stderr] : []),
    streamChannels.error,
  ];
  return { readable, writable };
}

/** Runs the command on a complete stream set, then reports and closes. Owns: the set's connection. */
export async function serveStreamSet(set: StreamSet, options: StreamOptions, run: RunCommand): Promise<Outcome> {
  const { connection, streams } = set;
  const gone = new AbortController();
  void connection.closed.then(() => gone.abort());
  // The ends of single streams speak for themselves; what went wrong is known from `connection.closed`.
  for (const stream of Object.values(streams)) stream.on('error', () => {});
  streams.stdout?.resume();
  streams.stderr?.resume();

  let outcome: Outcome;
  try {
    outcome = await run({
      stdin: streams.stdin,
      stdout: streams.stdout,
      stderr: streams.stderr,
      tty: options.tty,
      signal: gone.signal,
      onResize: (listener) => listenForSizes(streams.resize, listener),
    });
  } catch (thrown) {
    outcome = failed(
      thrown instanceof ExecPathError ? thrown : new ExecPathError('ERR_INTERNAL', toError(thrown).message),
    );
  }
  await Promise.all([flushed(streams.stdout), flushed(streams.stderr)]);
  await writeOutcome(set, outcome);
  await connection.close();
  return outcome;
}

function listenForSizes(resize: Duplex | undefined, listener: (size: TerminalSize) => void): void {
  const decoder = new TerminalSizeDecoder();
  resize?.on('data', (chunk: Buffer) => {
    try {
      for (const size of decoder.push(chunk)) listener(size);
    } catch {
      // A malformed size ends resizing and nothing else; the stream is still read, or it would stop all others.
    }
  });
}

/** Ends `stream` and waits until everything is with the transport, or the client is gone. */
function flushed(stream: Writable | undefined): Promise<void> {
  if (stream === undefined || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    finished(stream, { readable: false }, () => resolve());
    stream.end();
  });
}

/** The last word: v4 and v5 one JSON Status, older versions plain text and only on failure. */
async function writeOutcome({ traits, streams }: StreamSet, outcome: Outcome): Promise<void> {
  const status = statusOfOutcome(outcome);
  const text = traits.status ? JSON.stringify(status) : (status.message ?? '');
  if (text === '' || streams.error.destroyed) return;
  await new Promise<void>((resolve) => {
    finished(streams.error, { readable: false }, () => resolve());
    streams.error.write(text, () => resolve());
  });
}
