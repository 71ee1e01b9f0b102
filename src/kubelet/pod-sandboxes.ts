import { mkdir } from 'node:fs/promises';
import { ContainerState, type CriServices } from '../cri/index.ts';
import type { Pod } from '../kubeapi/index.ts';
import { type DnsSettings, type PodDns, podDns } from './pod-dns.ts';
import type { EventPod, Happening } from './pod-events.ts';
import type { PodFolders } from './pod-folders.ts';
import { graceOf } from './pod-grace.ts';
import { addressesOf, type ObservedPod } from './pod-observer.ts';
import { type SandboxConfig, sandboxConfig } from './sandbox-config.ts';

export interface PodSandboxesOptions {
  readonly cri: CriServices;
  readonly folders: PodFolders;
  readonly hostIP: string;
  readonly dns: DnsSettings;
  readonly onEvent: (pod: EventPod, happening: Happening) => void;
}

/** A sandbox that was just made. */
export interface MadeSandbox {
  readonly podSandboxId: string;
  readonly podIPs: readonly string[];
}

/** The sandboxes of this node's pods. */
export class PodSandboxes {
  readonly #options: PodSandboxesOptions;

  constructor(options: PodSandboxesOptions) {
    this.#options = options;
  }

  /** @throws ExecPathError ERR_MANIFEST, RuntimeCallError */
  async run(pod: Pod, attempt: number): Promise<MadeSandbox> {
    const { cri, onEvent } = this.#options;
    const { config, warnings } = await this.configOf(pod, attempt);
    await mkdir(config.logDirectory ?? '', { recursive: true, mode: 0o755 });
    for (const warning of warnings) onEvent(pod, { type: 'Warning', ...warning });
    const { podSandboxId } = await cri.runtime.runPodSandbox({ config });
    const { status } = await cri.runtime.podSandboxStatus({ podSandboxId });
    return { podSandboxId, podIPs: addressesOf(status) };
  }

  /** @throws ExecPathError ERR_MANIFEST for what this kubelet cannot give a pod */
  async configOf(
    pod: Pod,
    attempt: number,
  ): Promise<{ readonly config: SandboxConfig; readonly warnings: PodDns['warnings'] }> {
    const { dns, hostIP, folders } = this.#options;
    const { config: resolver, warnings } = await podDns(pod, dns, hostIP);
    return { config: sandboxConfig(pod, attempt, folders, { ...dns, resolver }), warnings };
  }

  /**
   * Ends what is left of a sandbox that died: its containers may have outlived it.
   *
   * @returns whether containers were ended: how is known at the next look
   */
  async end(pod: Pod, { sandbox, containers }: ObservedPod): Promise<boolean> {
    const grace = BigInt(graceOf(pod));
    const alive = [...containers.values()].filter(
      ({ state }) => state === ContainerState.CONTAINER_RUNNING || state === ContainerState.CONTAINER_UNKNOWN,
    );
    await Promise.all(
      alive.map(({ id }) =>
        this.#options.cri.runtime.stopContainer({ containerId: id, timeout: grace }).then(() => {}),
      ),
    );
    await this.#options.cri.runtime.stopPodSandbox({ podSandboxId: sandbox.id });
    return alive.length > 0;
  }
}
