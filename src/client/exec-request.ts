import { ExecPathError } from '../common/errors.ts';
import { pods, resourcePath, type Transport } from '../kubeapi/index.ts';

/** One exec, or one attach, as a server is asked for it. */
export interface ExecRequest {
  /** Default exec. */
  readonly subresource?: 'exec' | 'attach' | undefined;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** Of an attach, which joins the container's own command, it is empty. */
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/**
 * The URL of a session: the pod's subresource at an apiserver, the kubelet's own path at a kubelet. Parameters are sorted
 * by name as Go sorts them; only what is true is sent, and a TTY has no stderr.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for an empty command, no streams, or a name that cannot stand in a path
 * @see wire.md 7.1
 */
export function execUrl(api: Transport, request: ExecRequest): URL {
  const { namespace, pod, container, command, subresource = 'exec' } = request;
  if (subresource === 'exec' && command.length === 0) {
    throw new ExecPathError('ERR_BAD_REQUEST', 'you must specify at least one command for the container', {
      hop: 'client',
    });
  }
  const stderr = request.stderr && !request.tty;
  if (!request.stdin && !request.stdout && !stderr) {
    throw new ExecPathError('ERR_BAD_REQUEST', 'a session needs at least one of stdin, stdout and stderr', {
      hop: 'client',
    });
  }
  const streams = { ...request, stderr };
  if (api.hop === 'kubelet') {
    const query = queryOf(
      command,
      { error: stderr, input: streams.stdin, output: streams.stdout, tty: streams.tty },
      '1',
    );
    return api.url(kubeletPath(subresource, [namespace, pod, container]), query);
  }
  const { stdin, stdout, tty } = streams;
  const query = queryOf(command, { stderr, stdin, stdout, tty }, 'true', container);
  return api.url(resourcePath(pods, { namespace, name: pod, subresource }), query);
}

function queryOf(
  command: readonly string[],
  flags: Readonly<Record<string, boolean>>,
  isTrue: string,
  container?: string,
): URLSearchParams {
  const query = new URLSearchParams(command.map((argument): [string, string] => ['command', argument]));
  if (container !== undefined) query.append('container', container);
  for (const [name, value] of Object.entries(flags)) if (value) query.append(name, isTrue);
  return query;
}

function kubeletPath(subresource: string, names: readonly string[]): string {
  const segments = names.map((name) => {
    if (name === '' || name === '.' || name === '..' || name.includes('/')) {
      throw new ExecPathError('ERR_BAD_REQUEST', `${JSON.stringify(name)} cannot be a segment of a kubelet's path`, {
        hop: 'client',
      });
    }
    return encodeURIComponent(name);
  });
  return `/${subresource}/${segments.join('/')}`;
}
