import { access, mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ExecPathError, toError } from '../common/errors.ts';
import type { Io } from './io.ts';

/** Where podwire keeps its state by default: `$XDG_STATE_HOME/podwire`, else `~/.local/state/podwire`. */
export function stateFolder({ env, home }: Pick<Io, 'env' | 'home'>): string {
  const base = env['XDG_STATE_HOME'] ?? '';
  return join(base.startsWith('/') ? base : join(home, '.local', 'state'), 'podwire');
}

/**
 * Makes a folder for state, and those above it, each by a call of its own: the recursive mkdir of Node 20 asks for ever
 * where the system says that nothing can be made below a folder that is there, as it does in /proc.
 *
 * @param mode of those that are made
 * @throws ExecPathError ERR_STATE_FOLDER
 */
export async function makeStateFolder(folder: string, mode = 0o700): Promise<void> {
  const missing: string[] = [];
  try {
    for (let path = resolve(folder); !(await isThere(path)); path = dirname(path)) missing.unshift(path);
    for (const path of missing) await mkdir(path, { mode }).catch(unlessThere);
  } catch (thrown) {
    const cause = toError(thrown);
    const message = `the state folder ${JSON.stringify(folder)} cannot be made: ${cause.message}`;
    throw new ExecPathError('ERR_STATE_FOLDER', message, { cause });
  }
}

/** @throws Error for all but an answer */
async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw thrown;
  }
}

/** Somebody else may have made it meanwhile. */
function unlessThere(thrown: NodeJS.ErrnoException): void {
  if (thrown.code !== 'EEXIST') throw thrown;
}
