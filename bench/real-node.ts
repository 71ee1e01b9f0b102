import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ObjectServer } from './object-server.ts';
import type { KubeletHopConfig } from './processes/kubelet-hop.ts';
import { Worker } from './worker.ts';

/** A node that runs its pods: our kubelet before our runtime, each a process of its own. Owns: both, and a folder. */
export class RealNode implements AsyncDisposable {
  readonly name: string;
  readonly #folder: string;
  readonly #workers: Worker[] = [];

  private constructor(name: string) {
    this.name = name;
    this.#folder = mkdtempSync(join(tmpdir(), 'podwire-bench-node-'));
  }

  /** Joins `server` by a client certificate of its own. */
  static async start(server: ObjectServer, name: string): Promise<RealNode> {
    const node = new RealNode(name);
    try {
      const stateDir = join(node.#folder, 'runtime');
      const runtime = await node.#startWorker('runtime-hop', { stateDir });
      const user = { commonName: `system:node:${name}`, organizations: ['system:nodes'] };
      const serving = await server.issue(`${name}-kubelet`, { ...user, hosts: ['127.0.0.1'], usages: ['server'] });
      const client = await server.issue(`${name}-client`, { ...user, usages: ['client'] });
      await node.#startWorker('kubelet-hop', {
        containerRuntimeEndpoint: await runtime.ask<string>('endpoint'),
        rootDir: join(node.#folder, 'kubelet'),
        nodeName: name,
        server: server.url,
        tls: { caFile: server.caFile, ca: server.ca, serving, client },
      } satisfies KubeletHopConfig);
      return node;
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers.toReversed()) await worker[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #startWorker(name: string, config: unknown): Promise<Worker> {
    const worker = await Worker.start(name, config);
    this.#workers.push(worker);
    return worker;
  }
}
