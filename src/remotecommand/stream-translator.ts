import type { IncomingMessage } from 'node:http';
import { type Duplex, finished, type Readable, type Writable } from 'node:stream';
import type { StreamOptions } from '../common/channels.ts';
import { ExecPathError, toError } from '../common/errors.ts';
import { failed, type Outcome } from '../common/outcome.ts';
import { outcomeOfErrorStream, statusOfOutcome } from '../common/status.ts';
import { subprotocols } from '../common/subprotocols.ts';
import { acceptChannels, type ConnectionLimits, type SpdySession } from '../httpstream/index.ts';
import { collectBytes } from './collect-bytes.ts';
import { cutOutput } from './cut-output.ts';
import { allEnded, OUTPUT_END_TIMEOUT_MS } from './late-output.ts';
import { channelDirections } from './server.ts';
import { channelStreamSet, openStreamSet, type StreamSet } from './stream-set.ts';

/** The longest Status that is passed on, in bytes. */
const MAX_STATUS_BYTES = 1024 * 1024;

/** Opens the SPDY connection to the next hop. Throws what the client is to read in its Status. */
export type DialUpstream = (
  signal: AbortSignal,
) => Promise<{ readonly session: SpdySession; readonly protocol: string }>;

export interface TranslatorLimits extends ConnectionLimits {
  /** How long the next hop may hold outputs open, and send nothing, behind its Status; 0 for ever. Default 30 s. */
  readonly outputEndTimeoutMs?: number;
}

/**
 * Serves one v5 WebSocket by a SPDY session with the next hop: for servers that know no v5.
 *
 * As upstream does, the WebSocket is accepted first; so whatever fails later is told by a Status on channel 3. Unlike
 * upstream, the SPDY session ends at once when the client leaves, and a session that ends without a Status or in the
 * midst of its output is a failure that says so: to the client a Status means that it has all output.
 *
 * Owns: the socket and the upstream session. Never rejects.
 *
 * @returns the outcome that the client was told, or undefined when the WebSocket was refused
 */
export async function translateStreams(
  { request, socket, head }: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  options: StreamOptions,
  dialUpstream: DialUpstream,
  limits: TranslatorLimits = {},
): Promise<Outcome | undefined> {
  const channels = acceptChannels(request, socket, head, {
    ...limits,
    protocols: [subprotocols.v5],
    ...channelDirections(options),
  });
  if (channels === undefined) return undefined;
  const downstream = channelStreamSet(channels, options);
  const gone = new AbortController();
  void channels.closed.then(() => gone.abort());
  for (const stream of Object.values(downstream.streams)) stream.on('error', () => {});
  let statusBytes: Buffer;
  try {
    const { session, protocol } = await dialUpstream(gone.signal);
    const abandoned = abandonWhenAborted(session, gone.signal);
    try {
      const upstream = await openStreamSet(session, protocol, options, { signal: gone.signal });
      statusBytes = await relayStreams(downstream, upstream, session, limits.outputEndTimeoutMs);
    } catch (cause) {
      session.destroy(toError(cause));
      throw cause;
    } finally {
      abandoned();
    }
  } catch (thrown) {
    const error = thrown instanceof ExecPathError ? thrown : new ExecPathError('ERR_DIAL', toError(thrown).message);
    statusBytes = statusOfFailure(error);
  }
  if (!downstream.streams.error.destroyed) downstream.streams.error.write(statusBytes);
  await channels.close();
  return outcomeOfErrorStream(statusBytes);
}

/**
 * Tells a v5 WebSocket of a failure as {@link translateStreams} does: accepts it, and says so by a Status on channel 3. A
 * client that read an HTTP error there would try again over SPDY.
 *
 * Owns: the socket. Never rejects.
 */
export async function refuseInBand(
  { request, socket, head }: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  options: StreamOptions,
  error: ExecPathError,
  limits: ConnectionLimits = {},
): Promise<void> {
  const directions = channelDirections(options);
  const channels = acceptChannels(request, socket, head, { ...limits, protocols: [subprotocols.v5], ...directions });
  if (channels === undefined) return;
  const { streams } = channelStreamSet(channels, options);
  for (const stream of Object.values(streams)) stream.on('error', () => {});
  streams.error.write(statusOfFailure(error));
  await channels.close();
}

function statusOfFailure(error: ExecPathError): Buffer {
  return Buffer.from(JSON.stringify(statusOfOutcome(failed(error))));
}

/** @returns stops it */
function abandonWhenAborted(session: SpdySession, signal: AbortSignal): () => void {
  const leave = (): void => session.destroy(new ExecPathError('ERR_ABORTED', 'the client left'));
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  return () => signal.removeEventListener('abort', leave);
}

/**
 * @returns the Status for the client: the next hop's own bytes, or ours when it sent none
 * @throws ExecPathError ERR_OUTPUT_OPEN
 */
async function relayStreams(
  downstream: StreamSet,
  upstream: StreamSet,
  session: SpdySession,
  outputEndTimeoutMs = OUTPUT_END_TIMEOUT_MS,
): Promise<Buffer> {
  for (const stream of Object.values(upstream.streams)) stream.on('error', () => {});
  const { stdin, resize } = downstream.streams;
  if (stdin && upstream.streams.stdin) forward(stdin, upstream.streams.stdin);
  if (resize && upstream.streams.resize) forward(resize, upstream.streams.resize);
  upstream.streams.stdin?.resume();
  upstream.streams.resize?.resume();
  const outputs = (['stdout', 'stderr'] as const).map((type) =>
    drained(upstream.streams[type], downstream.streams[type]),
  );
  const status = await collectBytes(upstream.streams.error, MAX_STATUS_BYTES);
  await allEnded(outputs, upstream, outputEndTimeoutMs);
  void session.close();
  if (status.length === 0 || !upstream.traits.status) return await ownStatus(session, upstream, status);
  const outcome = outcomeOfErrorStream(status);
  const cut = outcome.kind === 'exited' ? await cutOutput(upstream, outcome.code) : undefined;
  return cut === undefined ? status : Buffer.from(JSON.stringify(statusOfOutcome(failed(cut))));
}

/** v1 … v3 say nothing on success and plain text on failure; a session that was lost says nothing either. */
async function ownStatus(session: SpdySession, upstream: StreamSet, text: Buffer): Promise<Buffer> {
  const reason = await session.closed;
  const outcome: Outcome =
    text.length > 0
      ? failed(new ExecPathError('ERR_REMOTE', text.toString()))
      : upstream.traits.status || reason.kind === 'lost'
        ? failed(
            new ExecPathError(
              'ERR_NO_STATUS',
              'the next hop ended the session without a Status: the exit code is unknown',
              {
                cause: reason.kind === 'lost' ? reason.error : undefined,
              },
            ),
          )
        : { kind: 'exited', code: 0 };
  return Buffer.from(JSON.stringify(statusOfOutcome(outcome)));
}

/** Copies with back-pressure; the giver's EOF becomes the taker's. When the taker is gone the rest is read and dropped. */
function forward(giver: Readable, taker: Writable): void {
  giver.pipe(taker);
  taker.once('close', () => {
    giver.unpipe(taker);
    giver.resume();
  });
}

/** As {@link forward}, and resolves when the last byte is with the taker's transport or has nowhere to go. */
function drained(giver: Readable | undefined, taker: Writable | undefined): Promise<void> {
  if (giver === undefined || taker === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    finished(taker, { readable: false }, () => resolve());
    giver.once('close', () => taker.end());
    forward(giver, taker);
  });
}
