import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { BackgroundChild, runChild } from './child.ts';
import type { CommandLine, ContainerRef, ExecClient, ExecRequest, ExecResult } from './exec-client.ts';
import { execArgs } from './kubectl.ts';
import { residentBytes } from './process-table.ts';

const MAIN = resolve(import.meta.dirname, '../../dist/cli/main.js');

/** The commands that run one hop, or all of them, until they are told to stop. */
export type HopCommand = 'apiserver' | 'kubelet' | 'runtime' | 'up';

/**
 * One hop of ours as a process of its own: `node dist/cli/main.js apiserver --secure-port 0 …`.
 *
 * Owns: the process group.
 */
export class PodwireHop implements AsyncDisposable {
  /** What stood in the ready line: an `https://` or `http://` URL, or a `unix://` socket. */
  readonly address: string;
  readonly #child: BackgroundChild;

  private constructor(child: BackgroundChild, address: string) {
    this.#child = child;
    this.address = address;
  }

  /** @throws Error with the log when no ready line comes within `deadlineMs`, default 30,000 */
  static async start(command: HopCommand, flags: readonly string[], deadlineMs = 30_000): Promise<PodwireHop> {
    const [node = '', ...args] = podwireArgv(command, ...flags);
    const child = new BackgroundChild(node, args);
    try {
      const [, address = ''] = await child.waitForLog(/ready\b[^\n]*?((?:https?|unix):\/\/[^\s"',]+)/, deadlineMs);
      return new PodwireHop(child, address);
    } catch (error) {
      await child.kill();
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The last MiB of its output. */
  get log(): string {
    return this.#child.log;
  }

  get residentBytes(): number {
    return residentBytes(this.#child.pid);
  }

  /** Settles when the process is gone. */
  get exited(): BackgroundChild['exited'] {
    return this.#child.exited;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.signal(name);
  }

  /** SIGTERM: a clean stop. */
  stop(): Promise<void> {
    return this.#child.stop();
  }

  /** `kill -9` of the process and what it started in its group. */
  kill(): Promise<void> {
    return this.#child.kill();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** `podwire exec` as a process. */
export class PodwireExec implements ExecClient {
  readonly name: string;
  readonly #flags: readonly string[];

  /** @param kubeconfig path of a kubeconfig file */
  constructor(kubeconfig: string, transport: 'auto' | 'websocket' | 'spdy' = 'auto') {
    this.name = `podwire exec${transport === 'auto' ? '' : ` over ${transport}`}`;
    this.#flags = ['--kubeconfig', kubeconfig, ...(transport === 'auto' ? [] : ['--transport', transport])];
  }

  exec(request: ExecRequest): Promise<ExecResult> {
    const { argv } = this.#commandLine(request, request.stdin === undefined ? [] : ['--stdin']);
    return runChild(argv[0] ?? '', argv.slice(1), request);
  }

  readonly interactive = (request: ContainerRef & { readonly argv: readonly string[] }): CommandLine => {
    return this.#commandLine(request, ['--stdin', '--tty']);
  };

  #commandLine(request: ContainerRef & { readonly argv: readonly string[] }, flags: string[]): CommandLine {
    return { argv: podwireArgv(...execArgs(request, [...this.#flags, ...flags])), env: process.env };
  }
}

/** Program and arguments of the built command. @throws Error when it has not been built */
export function podwireArgv(...args: string[]): string[] {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: npm run build`);
  return [process.execPath, MAIN, ...args];
}
