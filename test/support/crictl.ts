import { runChild } from './child.ts';
import type { ResolveContainer } from './ctr-client.ts';
import type { CommandLine, ContainerRef, ExecClient, ExecRequest, ExecResult } from './exec-client.ts';
import { requirePeer } from './find-peer.ts';

/** `crictl exec`: CRI's Exec and the runtime's streaming server. */
export class Crictl implements ExecClient {
  readonly name: string;
  readonly #program = requirePeer('crictl');
  readonly #endpoint: string;
  readonly #containerId: ResolveContainer;
  readonly #transport: 'spdy' | 'websocket';

  /** @param endpoint such as `unix:///run/containerd/containerd.sock` */
  constructor(endpoint: string, containerId: ResolveContainer, transport: 'spdy' | 'websocket' = 'spdy') {
    this.name = `crictl over ${transport}`;
    this.#endpoint = endpoint;
    this.#containerId = containerId;
    this.#transport = transport;
  }

  exec(request: ExecRequest): Promise<ExecResult> {
    const flags = request.stdin === undefined ? [] : ['--interactive'];
    return runChild(this.#program, this.#args(request, flags), request).then(withCommandsCode);
  }

  readonly interactive = (request: ContainerRef & { readonly argv: readonly string[] }): CommandLine => {
    return { argv: [this.#program, ...this.#args(request, ['--interactive', '--tty'])], env: process.env };
  };

  #args(request: ContainerRef & { readonly argv: readonly string[] }, flags: string[]): string[] {
    const common = ['--runtime-endpoint', this.#endpoint, '--config', '/dev/null', 'exec'];
    return [...common, '--transport', this.#transport, ...flags, this.#containerId(request), ...request.argv];
  }
}

/** crictl itself ends with 1, whatever the command's code, and tells that code in words. */
function withCommandsCode(result: ExecResult): ExecResult {
  const [, code] = /command terminated with exit code (\d+)/.exec(result.stderr.toString()) ?? [];
  return code === undefined ? result : { ...result, exitCode: Number(code) };
}
