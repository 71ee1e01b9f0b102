import type { Readable, Writable } from 'node:stream';
import type { ExecSession } from '../client/index.ts';
import type { TerminalSize } from '../common/terminal-size.ts';
import type { Io, LocalInput, LocalOutput } from './io.ts';

/** The size of the local terminal; undefined when stdout is none. */
export function terminalSize({ out }: Pick<Io, 'out'>): TerminalSize | undefined {
  const { columns, rows } = out;
  return out.isTTY === true && columns !== undefined && rows !== undefined
    ? { width: columns, height: rows }
    : undefined;
}

/**
 * Joins a session with the local stdin, stdout and stderr until it is over.
 *
 * @returns resolves when the session has its outcome and its output has been handed to the local streams
 */
export async function joinLocalStreams(session: ExecSession, io: Io): Promise<void> {
  const leaveInput = session.stdin === undefined ? undefined : forwardInput(io.input(), session.stdin);
  forwardOutput(session.stdout, io.out);
  forwardOutput(session.stderr, io.err);
  const onResize = (): void => {
    const size = terminalSize(io);
    if (size !== undefined) session.resize(size);
  };
  io.out.on('resize', onResize);
  // The terminal may have changed between the first size and this listener.
  onResize();
  await session.completed;
  io.out.off('resize', onResize);
  leaveInput?.();
}

/** Local EOF, a lost terminal included, becomes the command's EOF. @returns stops reading */
function forwardInput(local: LocalInput, remote: Writable): () => void {
  const onError = (): void => void remote.end();
  const leave = (): void => {
    local.unpipe(remote);
    local.off('error', onError).pause();
    local.unref?.();
  };
  local.once('error', onError);
  local.pipe(remote);
  remote.once('close', leave).once('finish', leave).on('error', leave);
  return leave;
}

/** When the local reader is gone the rest is read and dropped, so that the command can end by itself. */
function forwardOutput(remote: Readable | undefined, local: LocalOutput): void {
  if (remote === undefined) return;
  const drop = (): void => {
    remote.unpipe(local);
    remote.resume();
  };
  if (local.destroyed) {
    drop();
    return;
  }
  local.once('error', drop).once('close', drop);
  remote.pipe(local, { end: false });
}
