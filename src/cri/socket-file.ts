import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { ExecPathError, toError } from '../common/errors.ts';

/** Owner and group may call the runtime, nobody else: who can, is root on the node. */
const SOCKET_MODE = 0o660;

/** How long a process may take to accept on a socket before it counts as living, in ms. */
const PROBE_TIMEOUT_MS = 2000;

/**
 * Makes `path` free for a new listener: removes a socket that nobody listens on any more.
 *
 * @throws ExecPathError ERR_CRI_LISTEN when something listens there, or it is no socket
 */
export async function freeSocketPath(path: string): Promise<void> {
  const stats = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw refused(path, error.message, error);
  });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw refused(path, 'there is something else than a socket');
  if (await isListening(path)) throw refused(path, 'another process listens there');
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw refused(path, error.message, error);
  });
}

/** Lets the owner and the group of a socket that is listening call it, nobody else. */
export async function restrictSocket(path: string): Promise<void> {
  await chmod(path, SOCKET_MODE);
}

/** Only a refused connection is proof that nobody listens. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.setTimeout(PROBE_TIMEOUT_MS, () => answer(true));
    socket.once('connect', () => answer(true));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      answer(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
    const answer = (listening: boolean): void => {
      socket.destroy();
      resolve(listening);
    };
  });
}

function refused(path: string, why: string, cause?: unknown): ExecPathError {
  return new ExecPathError('ERR_CRI_LISTEN', `cannot serve CRI on unix://${path}: ${why}`, {
    cause: cause === undefined ? undefined : toError(cause),
    hop: 'runtime',
  });
}
