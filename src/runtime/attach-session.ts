import { finished, type Readable, type Writable } from 'node:stream';
import { ExecPathError, toError } from '../common/errors.ts';
import { exited, failed, type Outcome } from '../common/outcome.ts';
import type { ServerSession } from '../remotecommand/index.ts';
import type { AttachSession } from './runtime.ts';

/**
 * Joins a client to a container that runs, from now on, and leaves it running.
 *
 *     attached ─container's end, its output taken→ Success · attached ─client gone→ failed
 *     attached ─client's end of input→ stdinOnce: the container reads an end too, and the session goes on; else Success
 *
 * The last is how clients detach (containerd does the same): a terminal is left by ctrl-P ctrl-Q, which kubectl makes an
 * end of input. Success says nothing of the container's exit code.
 *
 * A client that does not read stops the container's output, for all who are attached; see `OutputHub`.
 *
 * Never rejects.
 */
export async function runAttachSession(session: ServerSession, start: () => AttachSession): Promise<Outcome> {
  let attached: AttachSession;
  try {
    attached = start();
  } catch (thrown) {
    return failed(attachFailure(toError(thrown)));
  }
  session.onResize((size) => attached.resize(size));
  const outputs = [join(attached.stdout, session.stdout), join(attached.stderr, session.stderr)];
  const ended = attached.exited.then(async () => {
    const [cut] = (await Promise.all(outputs)).filter((error) => error !== undefined);
    return cut === undefined ? exited(0) : failed(attachFailure(cut));
  });
  const left = new Promise<Outcome>((resolve) => {
    const leave = (): void => {
      resolve(failed(new ExecPathError('ERR_CONNECTION_LOST', 'the client left; the container goes on')));
    };
    if (session.signal.aborted) leave();
    session.signal.addEventListener('abort', leave, { once: true });
  });
  const detached = inputEnd(session.stdin, attached);
  const outcome = await Promise.race([ended, left, detached]);
  attached.close();
  return outcome;
}

/** Passes input on; settles when its end means that the client detaches. */
function inputEnd(from: Readable | undefined, attached: AttachSession): Promise<Outcome> {
  return new Promise((resolve) => {
    if (from === undefined) return;
    const { stdin, stdinOnce } = attached;
    stdin.on('error', () => {});
    from.pipe(stdin, { end: false });
    // The container takes no more: what still comes goes nowhere, and must not stop the client's other streams.
    stdin.once('close', () => {
      from.unpipe(stdin);
      from.resume();
    });
    from.once('end', () => {
      if (stdinOnce) stdin.end();
      // What was typed before is the container's first.
      else stdin.end(() => resolve(exited(0)));
    });
  });
}

/** The container's output to the client; settles when its last byte has been handed over, with what cut it short. */
function join(from: Readable, to: Writable | undefined): Promise<Error | undefined> {
  if (to === undefined) {
    from.destroy();
    return Promise.resolve(undefined);
  }
  return new Promise((resolve) => {
    from.pipe(to, { end: false });
    finished(from, { writable: false }, (error) => resolve(error ?? undefined));
    to.once('close', () => resolve(undefined));
  });
}

function attachFailure(cause: Error): ExecPathError {
  const code = cause instanceof ExecPathError ? cause.code : 'ERR_INTERNAL';
  return new ExecPathError(code, `error attaching to container: ${cause.message}`, { cause, hop: 'runtime' });
}
