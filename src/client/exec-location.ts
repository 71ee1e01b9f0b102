import type { StreamOptions } from '../common/channels.ts';
import { ExecPathError } from '../common/errors.ts';

/** The container that a command runs in. */
export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  /** Default: the server's choice; a kubelet needs it. */
  readonly container?: string | undefined;
}

/**
 * The path and query of an exec request.
 *
 * @param server an apiserver takes `stdin=true`, a kubelet `input=1`, and both take argv as repeated `command`
 * @throws ExecPathError ERR_BAD_REQUEST for an empty command, or a kubelet's without its container
 * @see wire.md 7.1; parameters are sorted by name as Go encodes them
 */
export function execLocation(
  server: 'apiserver' | 'kubelet',
  target: ExecTarget,
  command: readonly string[],
  streams: StreamOptions,
): { readonly path: string; readonly query: URLSearchParams } {
  if (command.length === 0)
    throw new ExecPathError('ERR_BAD_REQUEST', 'a command is needed: it has no words', { hop: 'client' });
  const { namespace, pod, container = '' } = target;
  const query = new URLSearchParams();
  for (const word of command) query.append('command', word);
  if (server === 'kubelet') {
    if (container === '') {
      throw new ExecPathError('ERR_BAD_REQUEST', 'a kubelet must be told the container: name it with -c', {
        hop: 'client',
      });
    }
    if (streams.stderr) query.append('error', '1');
    if (streams.stdin) query.append('input', '1');
    if (streams.stdout) query.append('output', '1');
    if (streams.tty) query.append('tty', '1');
    return { path: `/exec/${[namespace, pod, container].map(encodeURIComponent).join('/')}`, query };
  }
  if (container !== '') query.append('container', container);
  for (const name of ['stderr', 'stdin', 'stdout', 'tty'] as const) if (streams[name]) query.append(name, 'true');
  const segments = [namespace, pod].map(encodeURIComponent);
  return { path: `/api/v1/namespaces/${segments[0]}/pods/${segments[1]}/exec`, query };
}
