import { finished, type Readable, type Writable } from 'node:stream';
import { deferred } from '../common/deferred.ts';
import { ExecPathError, toError } from '../common/errors.ts';
import { exited, failed, type Outcome } from '../common/outcome.ts';
import type { TerminalSize } from '../common/terminal-size.ts';
import type { ServerSession } from '../remotecommand/index.ts';
import type { RunningProcess } from './process/index.ts';

/** After the client left: how long the command has between the hang-up and the kill, in ms. */
export const HANG_UP_GRACE_MS = 5_000;

/** After the command ended: how long output of processes that it left behind is still taken, in ms. */
export const DRAIN_AFTER_EXIT_MS = 2_000;

/** How long a terminal waits for the client's size before the command starts with 80 × 24, in ms. */
export const FIRST_SIZE_WAIT_MS = 200;

/** Control-D: what a terminal makes of a client's end of input. */
const END_OF_TRANSMISSION = Buffer.from([4]);

export interface ExecSessionOptions {
  /** Starts the command, on a terminal of that size when there is one. */
  readonly start: (tty: TerminalSize | undefined) => Promise<RunningProcess>;
  readonly hangUpGraceMs?: number;
  readonly drainAfterExitMs?: number;
}

/**
 * Runs one command for a session: its streams joined to the client's, its end told truthfully.
 *
 * starting ─refused→ failed · running ─exit→ draining ─output's end | drainAfterExitMs→ exited, or failed if the command
 * never ran
 * · running ─client gone→ hang-up ─hangUpGraceMs→ kill → failed
 *
 * A client that does not read stops the command by its pipe or terminal, and nobody else.
 */
export async function runExecSession(session: ServerSession, options: ExecSessionOptions): Promise<Outcome> {
  const sizes = new Sizes(session);
  let process: RunningProcess;
  try {
    process = await options.start(session.tty ? await sizes.first(session.signal) : undefined);
  } catch (thrown) {
    return failed(startFailure(thrown));
  }
  sizes.follow((size) => process.resize(size));
  if (session.stdin && process.stdin) feed(session.stdin, process.stdin, session.tty);
  const outputs = [join(process.stdout, session.stdout), join(process.stderr, session.stderr)];

  const left = new Promise<'left'>((resolve) => {
    if (session.signal.aborted) resolve('left');
    session.signal.addEventListener('abort', () => resolve('left'), { once: true });
  });
  const first = await Promise.race([process.exited, left]);
  if (first === 'left') {
    await process.hangUp(options.hangUpGraceMs ?? HANG_UP_GRACE_MS);
    // Output that nobody takes any more would keep its pipe open for good.
    await process[Symbol.asyncDispose]();
    return failed(new ExecPathError('ERR_CONNECTION_LOST', 'the client left, so the command was ended'));
  }
  await process.drained(options.drainAfterExitMs ?? DRAIN_AFTER_EXIT_MS);
  await Promise.race([Promise.all(outputs), left]);
  return first.failure === undefined ? exited(first.code) : failed(startFailure(first.failure));
}

/** containerd's words around the reason, by which clients tell 126 and 127. */
function startFailure(thrown: unknown): ExecPathError {
  const error = toError(thrown);
  const code = error instanceof ExecPathError ? error.code : 'ERR_COMMAND_START';
  return new ExecPathError(
    code,
    `error executing command in container: failed to exec in container: ${error.message}`,
    {
      cause: thrown,
      hop: 'runtime',
    },
  );
}

/** The client's terminal sizes: the first is waited for, the later ones are passed on. */
class Sizes {
  #latest: TerminalSize | undefined;
  #listener: ((size: TerminalSize) => void) | undefined;
  readonly #arrived = deferred<void>();

  constructor(session: ServerSession) {
    session.onResize((size) => {
      this.#latest = size;
      this.#arrived.resolve();
      this.#listener?.(size);
    });
  }

  async first(signal: AbortSignal): Promise<TerminalSize> {
    const timer = setTimeout(() => this.#arrived.resolve(), FIRST_SIZE_WAIT_MS);
    signal.addEventListener('abort', () => this.#arrived.resolve(), { once: true });
    await this.#arrived.promise;
    clearTimeout(timer);
    return this.#latest ?? { width: 0, height: 0 };
  }

  follow(listener: (size: TerminalSize) => void): void {
    this.#listener = listener;
  }
}

/** The client's bytes to the command. Its EOF closes a pipe and types ^D on a terminal. */
function feed(from: Readable, to: Writable, tty: boolean): void {
  from.pipe(to, { end: !tty });
  if (tty) from.once('end', () => to.write(END_OF_TRANSMISSION));
  // The command reads no more: what the client still sends goes nowhere, and must not stop its other streams.
  to.once('close', () => {
    from.unpipe(to);
    from.resume();
  });
  to.on('error', () => {});
}

/** The command's output to the client; resolves when its last byte has been handed over. */
function join(from: Readable | undefined, to: Writable | undefined): Promise<void> {
  if (from === undefined) return Promise.resolve();
  if (to === undefined) {
    from.resume();
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    from.pipe(to, { end: false });
    finished(from, { writable: false }, () => resolve());
    to.once('close', () => resolve());
  });
}
