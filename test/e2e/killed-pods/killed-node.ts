import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CriClient } from '../../../src/cri/index.ts';
import { createTransport, KubeClient, loadClientConfig } from '../../../src/kubeapi/index.ts';
import { ImageStore } from '../../../src/runtime/index.ts';
import { mountsBelow } from '../../../src/runtime/isolation/mounts.ts';
import { subnetOf } from '../../../src/runtime/isolation/network.ts';
import { Containerd } from '../../support/containerd.ts';
import { freePort } from '../../support/free-port.ts';
import { imageArchive } from '../../support/image.ts';
import { networkParts } from '../../support/kernel-remains.ts';
import { PodwireHop } from '../../support/podwire.ts';

export type Hop = 'apiserver' | 'kubelet' | 'runtime';

interface Parts {
  readonly folder: string;
  readonly client: KubeClient;
  readonly flags: Readonly<Record<Hop, readonly string[]>>;
  readonly running: Map<Hop, PodwireHop>;
  readonly containerd: Containerd | undefined;
}

/**
 * An apiserver with its store on disk, and one node, whose hops are processes that can be killed and started again where
 * they were. Containerd, when it is the runtime, is not.
 *
 * Owns: the processes, containerd, a temporary folder.
 */
export class KilledNode implements AsyncDisposable {
  readonly client: KubeClient;
  /** Those that can be killed. */
  readonly hops: readonly Hop[];
  readonly #folder: string;
  readonly #flags: Parts['flags'];
  readonly #running: Parts['running'];
  readonly #containerd: Parts['containerd'];

  private constructor({ folder, client, flags, running, containerd }: Parts) {
    this.#folder = folder;
    this.client = client;
    this.hops = [...running.keys()];
    this.#flags = flags;
    this.#running = running;
    this.#containerd = containerd;
  }

  static async start(runtime: 'containerd' | 'ours'): Promise<KilledNode> {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-killed-pods-'));
    const running = new Map<Hop, PodwireHop>();
    let containerd: Containerd | undefined;
    try {
      const stateDir = join(folder, 'runtime');
      const certDir = join(folder, 'apiserver');
      const apiserver = flagsOf({
        'secure-port': String(await freePort()),
        'cert-dir': certDir,
        'data-dir': join(folder, 'store'),
        'kubelet-preferred-address-types': 'InternalIP',
      });
      const ofRuntime = flagsOf({ 'state-dir': stateDir });
      if (runtime === 'containerd') containerd = await Containerd.start();
      else {
        writeFileSync(join(folder, 'image.tar'), imageArchive());
        await new ImageStore(stateDir).import(join(folder, 'image.tar'));
        running.set('runtime', await PodwireHop.start('runtime', ofRuntime));
      }
      running.set('apiserver', await PodwireHop.start('apiserver', apiserver));
      const kubeconfig = /^kubeconfig (.*)$/m.exec(running.get('apiserver')?.log ?? '')?.[1] ?? '';
      const kubelet = flagsOf({
        'container-runtime-endpoint': containerd?.endpoint ?? `unix://${join(stateDir, 'runtime.sock')}`,
        'root-dir': join(folder, 'kubelet'),
        'hostname-override': 'n1',
        'node-ip': '127.0.0.1',
        port: String(await freePort()),
        'healthz-port': '0',
        kubeconfig,
        'client-ca-file': join(certDir, 'ca', 'ca.crt'),
      });
      running.set('kubelet', await PodwireHop.start('kubelet', kubelet));
      const client = new KubeClient(createTransport(await loadClientConfig({ kubeconfig })));
      const flags = { runtime: ofRuntime, apiserver, kubelet };
      return new KilledNode({ folder, client, flags, running, containerd });
    } catch (thrown) {
      for (const hop of running.values()) await hop.kill();
      await containerd?.dispose();
      rmSync(folder, { recursive: true, force: true });
      throw thrown;
    }
  }

  kill(hop: Hop): Promise<void> {
    return this.#hop(hop).kill();
  }

  /** @throws Error with its log when it is not ready within 30 s */
  async restart(hop: Hop): Promise<void> {
    this.#running.set(hop, await PodwireHop.start(hop, this.#flags[hop]));
  }

  /** The last that each hop said since it was started. */
  get logs(): string {
    return [...this.#running].map(([name, { log }]) => `${name}:\n${log.slice(-2000)}`).join('\n');
  }

  /** What is there of pods: in the kubelet's folders, the runtime, the kernel. */
  async remains(): Promise<string[]> {
    const below = (...path: string[]): string[] =>
      filesIn(join(this.#folder, ...path)).map((name) => join(...path, name));
    const runtime = join(this.#folder, 'runtime');
    return [
      ...below('kubelet', 'logs'),
      ...below('kubelet', 'volumes'),
      ...['containers', 'kept', 'pods', 'records'].flatMap((name) => below('runtime', name)),
      ...below('runtime', 'cni', 'podwire').filter((path) => /\/10\.[\d.]+$/.test(path)),
      ...mountsBelow(this.#folder).filter((point) => !point.startsWith(join(runtime, 'tools'))),
      ...(await networkParts(subnetOf(runtime))).map(({ what }) => what),
      ...(await this.#shownByRuntime()),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    for (const hop of [...this.#running.values()].toReversed()) await hop.stop();
    await this.#containerd?.dispose();
    rmSync(this.#folder, { recursive: true });
  }

  async #shownByRuntime(): Promise<string[]> {
    const socket = `unix://${join(this.#folder, 'runtime', 'runtime.sock')}`;
    await using cri = new CriClient(this.#containerd?.endpoint ?? socket);
    const { items } = await cri.runtime.listPodSandbox({});
    const { containers } = await cri.runtime.listContainers({});
    return [...items.map(({ id }) => `sandbox ${id}`), ...containers.map(({ id }) => `container ${id}`)];
  }

  #hop(name: Hop): PodwireHop {
    const hop = this.#running.get(name);
    if (hop === undefined) throw new Error(`there is no ${name} to kill`);
    return hop;
  }
}

function flagsOf(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
}

/** Empty for a folder that is not there. */
function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
