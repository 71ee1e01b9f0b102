import { randomUUID } from 'node:crypto';
import { runChild } from './child.ts';
import type { Containerd } from './containerd.ts';
import type { CommandLine, ContainerRef, ExecClient, ExecRequest, ExecResult } from './exec-client.ts';

/** Finds the container that a name means. */
export type ResolveContainer = (ref: ContainerRef) => string;

/** `ctr task exec`: containerd's task service, without CRI and without a streaming server. */
export class CtrClient implements ExecClient {
  readonly name = 'ctr task exec';
  readonly #containerd: Containerd;
  readonly #containerId: ResolveContainer;

  constructor(containerd: Containerd, containerId: ResolveContainer) {
    this.#containerd = containerd;
    this.#containerId = containerId;
  }

  exec(request: ExecRequest): Promise<ExecResult> {
    return runChild('ctr', this.#args(request, []), request);
  }

  readonly interactive = (request: ContainerRef & { readonly argv: readonly string[] }): CommandLine => {
    return { argv: ['ctr', ...this.#args(request, ['--tty'])], env: process.env };
  };

  #args(request: ContainerRef & { readonly argv: readonly string[] }, flags: string[]): string[] {
    const id = this.#containerId(request);
    return this.#containerd.ctrArgs('task', 'exec', '--exec-id', randomUUID(), ...flags, id, ...request.argv);
  }
}
