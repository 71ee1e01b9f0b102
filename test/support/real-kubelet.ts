import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoredPair } from '../../src/pki/index.ts';
import { BackgroundChild, runChild } from './child.ts';
import { requirePeer } from './find-peer.ts';
import { freePort } from './free-port.ts';

export interface RealKubeletOptions {
  readonly nodeName: string;
  /** How it reaches its apiserver, and as whom. */
  readonly kubeconfig: string;
  /** PEM file: who may call it. */
  readonly clientCaFile: string;
  /** Its serving pair for a host, which is its node's address. */
  readonly serving: (host: string) => Promise<StoredPair>;
  /** `unix:///PATH` of a CRI socket. */
  readonly containerRuntimeEndpoint: string;
}

/**
 * A real kubelet on this machine, whose limits of pods by cgroups and whose tuning of the kernel are switched off: neither
 * may be had in a container.
 *
 * Owns: the process and a folder with its root, logs and manifests. What it started in the runtime stays the runtime's.
 */
export class RealKubelet implements AsyncDisposable {
  /** Its static pods. */
  readonly manifests: string;
  readonly #folder: string;
  readonly #child: BackgroundChild;

  private constructor(folder: string, child: BackgroundChild) {
    this.#folder = folder;
    this.#child = child;
    this.manifests = join(folder, 'manifests');
  }

  /** Resolves when it serves; it registers later. @throws Error with its log */
  static async start(options: RealKubeletOptions): Promise<RealKubelet> {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-kubelet-'));
    mkdirSync(join(folder, 'manifests'));
    const address = nodeAddress();
    const { certificateFile, keyFile } = await options.serving(address);
    const config = {
      kind: 'KubeletConfiguration',
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      address,
      port: await freePort(),
      healthzPort: 0,
      containerRuntimeEndpoint: options.containerRuntimeEndpoint,
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: options.clientCaFile },
      },
      authorization: { mode: 'Webhook' },
      tlsCertFile: certificateFile,
      tlsPrivateKeyFile: keyFile,
      staticPodPath: join(folder, 'manifests'),
      podLogsDir: join(folder, 'logs'),
      volumePluginDir: join(folder, 'volume-plugins'),
      fileCheckFrequency: '1s',
      syncFrequency: '5s',
      nodeStatusUpdateFrequency: '1s',
      cgroupDriver: 'cgroupfs',
      cgroupsPerQOS: false,
      enforceNodeAllocatable: [],
      failSwapOn: false,
      failCgroupV1: false,
      oomScoreAdj: 0,
      makeIPTablesUtilChains: false,
      localStorageCapacityIsolation: false,
      resolvConf: '',
      evictionHard: { 'memory.available': '0%' },
      featureGates: { KubeletInUserNamespace: true },
    };
    writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config));
    const child = new BackgroundChild(requirePeer('kubelet'), [
      `--config=${join(folder, 'config.yaml')}`,
      `--kubeconfig=${options.kubeconfig}`,
      `--hostname-override=${options.nodeName}`,
      `--node-ip=${address}`,
      `--root-dir=${join(folder, 'root')}`,
      `--cert-dir=${join(folder, 'pki')}`,
      '--v=2',
    ]);
    const kubelet = new RealKubelet(folder, child);
    try {
      await child.waitForLog(/Starting to listen/, 60_000);
      return kubelet;
    } catch (error) {
      await kubelet[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The last MiB of its log. */
  get log(): string {
    return this.#child.log;
  }

  get exited(): BackgroundChild['exited'] {
    return this.#child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop();
    // It mounts its root on itself, so that what it mounts below is seen outside.
    await runChild('umount', ['--recursive', '--lazy', join(this.#folder, 'root')]);
    removeLogLinks(this.#folder);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** It wants an address that is not loopback's: that of an interface of this machine. Traffic to it stays here. */
function nodeAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const own = addresses.find(({ internal, family }) => !internal && family === 'IPv4');
  if (own === undefined) throw new Error('this machine has no address but loopback, which a kubelet does not take');
  return own.address;
}

const LOG_LINKS = '/var/log/containers';

/** A kubelet links each container's log there, wherever its own folders are. */
function removeLogLinks(folder: string): void {
  let names: string[];
  try {
    names = readdirSync(LOG_LINKS);
  } catch {
    return;
  }
  for (const name of names) {
    const path = join(LOG_LINKS, name);
    if (readlinkSync(path).startsWith(folder)) rmSync(path);
  }
}
