import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChildOptions, type ChildResult, mustRun, runChild } from './child.ts';
import type { CommandLine, ContainerRef, ExecClient, ExecRequest, ExecResult } from './exec-client.ts';
import { requirePeer } from './find-peer.ts';

export interface KubectlOptions {
  /** Path of a kubeconfig file. */
  readonly kubeconfig: string;
  /** Default: the peer `kubectl`. See findKubectl for one version. */
  readonly program?: string;
  /** `auto` is what this kubectl does by itself. Default: `auto`. */
  readonly transport?: 'auto' | 'websocket' | 'spdy';
}

/**
 * A real kubectl with a home and a discovery cache of its own.
 *
 * Owns: its home folder.
 */
export class Kubectl implements ExecClient, Disposable {
  readonly name: string;
  readonly #program: string;
  readonly #home: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(options: KubectlOptions, program: string, version: string) {
    const transport = options.transport ?? 'auto';
    this.name = `kubectl ${version}${transport === 'auto' ? '' : ` over ${transport}`}`;
    this.#program = program;
    this.#home = mkdtempSync(join(tmpdir(), 'podwire-kubectl-'));
    this.#env = {
      PATH: process.env['PATH'],
      HOME: this.#home,
      KUBECONFIG: options.kubeconfig,
      ...(transport !== 'auto' && { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: String(transport === 'websocket') }),
      ...(transport !== 'auto' && { KUBECTL_PORT_FORWARD_WEBSOCKETS: String(transport === 'websocket') }),
    };
  }

  /** @throws Error when there is no such kubectl */
  static async create(options: KubectlOptions): Promise<Kubectl> {
    const program = options.program ?? requirePeer('kubectl');
    const said = await mustRun(program, ['version', '--client', '-o', 'json']);
    const { gitVersion } = (JSON.parse(said) as { clientVersion: { gitVersion: string } }).clientVersion;
    return new Kubectl(options, program, /\d+\.\d+/.exec(gitVersion)?.[0] ?? gitVersion);
  }

  /** Runs kubectl with `args` to its end. */
  run(args: readonly string[], options: Omit<ChildOptions, 'env'> = {}): Promise<ChildResult> {
    return runChild(this.#program, args, { ...options, env: this.#env });
  }

  /** As run, and gives stdout as text. @throws Error with stderr for an exit code other than 0 */
  must(...args: string[]): Promise<string> {
    return mustRun(this.#program, args, { env: this.#env });
  }

  async exec(request: ExecRequest): Promise<ExecResult> {
    const flags = request.stdin === undefined ? [] : ['--stdin'];
    const result = await runChild(this.#program, execArgs(request, flags), { ...request, env: this.#env });
    return { ...result, stderr: withoutEarlyMessage(result.stderr) };
  }

  readonly interactive = (request: ContainerRef & { readonly argv: readonly string[] }): CommandLine => {
    return { argv: [this.#program, ...execArgs(request, ['--stdin', '--tty'])], env: this.#env };
  };

  /** The program with `args`, for those who start it themselves. */
  commandLine(...args: string[]): CommandLine {
    return { argv: [this.#program, ...args], env: this.#env };
  }

  [Symbol.dispose](): void {
    rmSync(this.#home, { recursive: true, force: true });
  }
}

/**
 * Without the word of kubectl 1.29 to 1.33 on a message that came before it had registered its channels, as happens on a
 * busy machine (wire.md 3.3). A server's first message is empty, so one such line is no loss; a second one stays.
 */
function withoutEarlyMessage(stderr: Buffer): Buffer {
  const early = /^E\d{4} [\d:.]+ +\d+ websocket\.go:\d+\] Unknown stream id 1, discarding message\n/m;
  return Buffer.from(stderr.toString('latin1').replace(early, ''), 'latin1');
}

/** `exec` as kubectl and `podwire` take it. */
export function execArgs(request: ContainerRef & { readonly argv: readonly string[] }, flags: string[]): string[] {
  const container = request.container === undefined ? [] : ['--container', request.container];
  return [
    'exec',
    '--namespace',
    request.namespace ?? 'default',
    ...container,
    ...flags,
    request.pod,
    '--',
    ...request.argv,
  ];
}
