import type { StreamOptions } from '../common/channels.ts';
import { ExecPathError } from '../common/errors.ts';

/**
 * Reads the kubelet's query: `input`, `output`, `error`, `tty` are true only as exactly `1`, and a TTY silently drops
 * `error`.
 *
 * @throws ExecPathError ERR_BAD_REQUEST when no stream is asked for
 */
export function streamOptionsOf(query: URLSearchParams): StreamOptions {
  const isOne = (name: string): boolean => query.get(name) === '1';
  const tty = isOne('tty');
  const options = { stdin: isOne('input'), stdout: isOne('output'), stderr: isOne('error') && !tty, tty };
  if (!options.stdin && !options.stdout && !isOne('error')) {
    throw new ExecPathError('ERR_BAD_REQUEST', 'you must specify at least 1 of stdin, stdout, stderr');
  }
  return options;
}
