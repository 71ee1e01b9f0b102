import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BackgroundChild } from '../../support/child.ts';
import { heldSockets } from '../../support/held-sockets.ts';
import { residentBytes } from '../../support/process-table.ts';
import { podsServe, registerPods, writeManifests } from './chain-pods.ts';
import { HOPS_PREFIX } from './earlier-runs.ts';
import type { Endpoint } from './endpoint.ts';
import { SHORT_GRACE_MS, shortLimits } from './short-limits.ts';

const MAIN = resolve(import.meta.dirname, '../../support/hop-main.mjs');
const BUILT = resolve(import.meta.dirname, '../../../dist/runtime/index.js');

export const hopNames = ['apiserver', 'kubelet', 'runtime'] as const;
export type HopName = (typeof hopNames)[number];

interface HopProcess {
  readonly child: BackgroundChild;
  /** Of the apiserver, the kubelet, or the streaming server. */
  readonly port: number;
}

/**
 * Apiserver, kubelet and runtime as processes, which can be killed, stopped and started again where they were.
 *
 * Owns: the processes and a temporary directory.
 */
export class HopProcesses implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), HOPS_PREFIX));
  readonly #hops = new Map<HopName, HopProcess>();

  private constructor() {
    writeManifests(join(this.#directory, 'manifests'));
  }

  static async start(): Promise<HopProcesses> {
    if (!existsSync(BUILT)) throw new Error(`${BUILT} is missing: npm run build`);
    const hops = new HopProcesses();
    try {
      for (const name of ['runtime', 'kubelet', 'apiserver'] as const) await hops.restart(name);
      return hops;
    } catch (error) {
      await hops[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where clients connect. */
  get apiserver(): Endpoint {
    return this.#endpoint('apiserver');
  }

  kill(name: HopName): Promise<void> {
    return this.#hop(name).child.kill();
  }

  /** SIGSTOP: the kernel still acknowledges, nobody answers. */
  stop(name: HopName): void {
    this.#hop(name).child.signal('SIGSTOP');
  }

  continue(name: HopName): void {
    this.#hop(name).child.signal('SIGCONT');
  }

  /** Starts a hop, again on its port, and waits until sessions can go through it. */
  async restart(name: HopName): Promise<void> {
    const port = this.#hops.get(name)?.port ?? 0;
    const child = new BackgroundChild(process.execPath, [MAIN, name, JSON.stringify(this.#options(name, port))]);
    try {
      const [, ready = ''] = await child.waitForLog(/^ready (.*)$/m);
      this.#hops.set(name, { child, port: (JSON.parse(ready) as { port: number }).port });
    } catch (error) {
      await child.kill();
      throw error;
    }
    if (name !== 'apiserver' && this.#hops.has('kubelet')) await podsServe(this.#endpoint('kubelet'));
    if (name === 'apiserver') await registerPods(this.apiserver, this.#hop('kubelet').port);
  }

  /** Memory of the process that is in use, in bytes. */
  residentBytes(name: HopName): number {
    return residentBytes(this.#hop(name).child.pid);
  }

  /** Connections of sessions that `name` holds. */
  socketsOf(name: HopName | 'client'): string[] {
    const port = (hop: HopName): number[] => [this.#hop(hop).port];
    const remote = { client: port('apiserver'), apiserver: port('kubelet'), kubelet: port('runtime'), runtime: [] };
    return heldSockets({ local: name === 'client' ? [] : port(name), remote: remote[name] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of hopNames) {
      this.#hops.get(name)?.child.signal('SIGCONT');
      await this.#hops.get(name)?.child.stop();
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #endpoint(name: HopName): Endpoint {
    return { url: `http://127.0.0.1:${this.#hop(name).port}` };
  }

  #hop(name: HopName): HopProcess {
    const hop = this.#hops.get(name);
    if (hop === undefined) throw new Error(`the ${name} has not been started`);
    return hop;
  }

  #options(name: HopName, port: number): object {
    const stateDir = join(this.#directory, 'runtime');
    switch (name) {
      case 'runtime':
        return { stateDir, streaming: { ...shortLimits, port, hangUpGraceMs: SHORT_GRACE_MS } };
      case 'kubelet':
        return {
          containerRuntimeEndpoint: `unix://${stateDir}/runtime.sock`,
          rootDir: join(this.#directory, 'kubelet'),
          podManifestPath: join(this.#directory, 'manifests'),
          nodeName: 'n1',
          port,
          version: '0',
          sessionLimits: shortLimits,
        };
      case 'apiserver':
        return { port, limits: shortLimits };
    }
  }
}
