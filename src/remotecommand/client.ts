import type { Duplex, Readable, Writable } from 'node:stream';
import { ExecPathError } from '../common/errors.ts';
import { exited, failed, type Outcome } from '../common/outcome.ts';
import { outcomeOfErrorStream } from '../common/status.ts';
import { encodeTerminalSize, type TerminalSize } from '../common/terminal-size.ts';
import { collectBytes } from './collect-bytes.ts';
import { cutOutput } from './cut-output.ts';
import { allEnded, OUTPUT_END_TIMEOUT_MS } from './late-output.ts';
import type { StreamSet } from './stream-set.ts';

/** The longest Status that a client reads, in bytes. */
const MAX_STATUS_BYTES = 1024 * 1024;

/** A running command as its client sees it. */
export interface RemoteCommand {
  /** `end()` is the command's EOF. Fails silently once the command no longer reads. */
  readonly stdin: Writable | undefined;
  /** What comes must be read or resumed: unread output stops the command. With a TTY it carries both outputs. */
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  /** Without a TTY it does nothing. */
  resize(size: TerminalSize): void;
  /** Gives up: the connection is gone at once and `completed` fails with ERR_ABORTED, unless it was decided already. */
  abort(cause?: Error): void;
  /** Settles once, never rejects, after the last byte of output was received. */
  readonly completed: Promise<Outcome>;
  /** Settles when the connection is gone, at or after `completed`; never rejects. */
  readonly closed: Promise<void>;
}

export interface RemoteCommandOptions {
  /** How long outputs may stay open, and nothing come, once the error stream has ended; 0 for ever. Default 30 s. */
  readonly outputEndTimeoutMs?: number | undefined;
}

/**
 * Drives one session as its client.
 *
 * Output and Status are waited for together; whatever ends without a Status failed, however clean its end.
 *
 * Owns: the set's connection, and closes it after the outcome.
 */
export function runRemoteCommand(set: StreamSet, options: RemoteCommandOptions = {}): RemoteCommand {
  const { stdin, stdout, stderr, resize } = set.streams;
  for (const stream of Object.values(set.streams)) stream.on('error', () => {});
  watchStdin(stdin);
  resize?.resume();
  return {
    stdin,
    stdout,
    stderr,
    resize: (size) => {
      if (resize?.writable) resize.write(encodeTerminalSize(size));
    },
    abort: (cause) => {
      set.connection.destroy(cause ?? new ExecPathError('ERR_ABORTED', 'the session was given up'));
      // A connection that is over already has let go of them: output that nobody read would be waited for for ever.
      for (const stream of Object.values(set.streams)) stream.destroy();
    },
    completed: complete(set, options.outputEndTimeoutMs ?? OUTPUT_END_TIMEOUT_MS),
    closed: set.connection.closed.then(() => {}),
  };
}

/** When the server half-closes stdin nobody reads it any longer: what is still to be written goes nowhere. */
function watchStdin(stdin: Duplex | undefined): void {
  stdin?.resume();
  stdin?.once('end', () => stdin.end());
}

async function complete(set: StreamSet, outputEndTimeoutMs: number): Promise<Outcome> {
  const outputs = [set.streams.stdout, set.streams.stderr].map(outputEnd);
  const errorBytes = await collectBytes(set.streams.error, MAX_STATUS_BYTES);
  endUnread(set);
  void set.connection.closed.then(() => endUnread(set));
  try {
    await allEnded(outputs, set, outputEndTimeoutMs);
  } catch (late) {
    return failed(late as ExecPathError);
  }
  const closed = set.connection.close();
  // With a Status in hand the goodbye can take its time; without one, how the connection ended is all there is to tell.
  if (errorBytes.length === 0) await closed;
  return decide(set, errorBytes);
}

/** An output that stayed empty ends although nobody reads it: a caller need not listen to a stderr that says nothing. */
function endUnread({ streams }: StreamSet): void {
  for (const stream of [streams.stdout, streams.stderr]) {
    if (stream !== undefined && stream.readableLength === 0) stream.read(0);
  }
}

/** Resolves when `stream` gives no more. */
function outputEnd(stream: Readable | undefined): Promise<void> {
  if (stream === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once('end', resolve).once('close', resolve);
  });
}

async function decide(set: StreamSet, errorBytes: Buffer): Promise<Outcome> {
  if (errorBytes.length === 0) {
    const reason = await set.connection.closed;
    if (reason.kind === 'lost') return failed(reason.error);
  }
  if (!set.traits.status) {
    const text = errorBytes.toString();
    return text === '' ? exited(0) : failed(new ExecPathError('ERR_REMOTE', `error executing remote command: ${text}`));
  }
  const outcome = outcomeOfErrorStream(errorBytes);
  const cut = outcome.kind === 'exited' ? await cutOutput(set, outcome.code) : undefined;
  return cut === undefined ? outcome : failed(cut);
}
