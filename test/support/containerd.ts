import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackgroundChild, mustRun } from './child.ts';
import { CONTAINERD_PREFIX, claim, removeInstance, removeOrphans } from './containerd-remains.ts';
import { CriCaller, type PodSpec, type RunningPod } from './cri-caller.ts';
import { freePort } from './free-port.ts';
import { imageArchive, PAUSE_IMAGE, pauseArchive, TEST_IMAGE } from './image.ts';

const BOOT_DEADLINE_MS = 30_000;
/** How long shims may take to go once their pods are removed, in ms; then they are killed. */
const SHIM_GRACE_MS = 5000;

export interface ContainerdOptions {
  /** Serve the API, CRI included, on loopback TCP too. Default: false. */
  readonly tcp?: boolean;
  /** Further references under which the test image is imported. Default: none. */
  readonly imageNames?: readonly string[];
  /** Further lines of the table `[plugins."io.containerd.grpc.v1.cri"]`. Default: none. */
  readonly criSettings?: readonly string[];
}

export type PodRequest = Omit<PodSpec, 'image' | 'command'> & Partial<Pick<PodSpec, 'image' | 'command'>>;

/**
 * A containerd of its own: own state, sockets, network range and images (TEST_IMAGE and the pause image), so that several
 * run beside each other and beside the system's.
 *
 * Owns: the daemon, its shims and their containers, mounts, network namespaces and the folder `directory`.
 */
export class Containerd implements AsyncDisposable {
  readonly directory: string;
  /** Path of the unix socket: the containerd API and CRI. */
  readonly socket: string;
  /** `host:port` of the same, or undefined without `tcp`. */
  readonly tcpAddress: string | undefined;
  readonly cri: CriCaller;
  readonly #daemon: BackgroundChild;

  private constructor(directory: string, tcpAddress: string | undefined) {
    this.directory = directory;
    this.socket = join(directory, 'containerd.sock');
    this.tcpAddress = tcpAddress;
    this.#daemon = new BackgroundChild('containerd', ['--config', join(directory, 'config.toml')]);
    this.cri = new CriCaller(`unix://${this.socket}`);
  }

  /**
   * Starts containerd and imports the images; needs root, runc and the CNI plugins of Debian.
   *
   * @throws Error with containerd's log when CRI does not answer within 30 s
   */
  static async start(options: ContainerdOptions = {}): Promise<Containerd> {
    await removeOrphans();
    const directory = mkdtempSync(join(tmpdir(), CONTAINERD_PREFIX));
    claim(directory);
    const tcpAddress = options.tcp === true ? `127.0.0.1:${await freePort()}` : undefined;
    writeConfig(directory, tcpAddress, options.criSettings ?? []);
    const containerd = new Containerd(directory, tcpAddress);
    try {
      await containerd.#daemon.waitForLog(/Start streaming server/, BOOT_DEADLINE_MS);
      await containerd.cri.version(BOOT_DEADLINE_MS);
      await containerd.importImage(imageArchive({ names: [TEST_IMAGE, ...(options.imageNames ?? [])] }));
      await containerd.importImage(pauseArchive());
      return containerd;
    } catch (error) {
      await containerd.dispose();
      throw error;
    }
  }

  /** Address for `--container-runtime-endpoint` and crictl's `--runtime-endpoint`. */
  get endpoint(): string {
    return `unix://${this.socket}`;
  }

  get pid(): number {
    return this.#daemon.pid;
  }

  /** The last MiB of the daemon's log. */
  get log(): string {
    return this.#daemon.log;
  }

  /** Runs `ctr` in the namespace of CRI and gives its stdout. */
  ctr(...args: string[]): Promise<string> {
    return mustRun('ctr', this.ctrArgs(...args));
  }

  /** The arguments of {@link Containerd.ctr}, for those who start it otherwise. */
  ctrArgs(...args: string[]): string[] {
    return ['--address', this.socket, '--namespace', 'k8s.io', ...args];
  }

  /** Imports an image archive under the names inside it. */
  async importImage(archive: Uint8Array): Promise<void> {
    const path = join(this.directory, 'image.tar');
    writeFileSync(path, archive);
    await this.ctr('images', 'import', path);
    rmSync(path);
  }

  /** Runs a pod of TEST_IMAGE that waits; labelled as by a kubelet, so that ours adopts it. */
  runPod(request: PodRequest): Promise<RunningPod> {
    return this.cri.runPod({ image: TEST_IMAGE, command: ['sleep', '2147483647'], ...request });
  }

  /** `kill -9` of the daemon alone: shims and containers live on, as after a crash. */
  killDaemon(): Promise<void> {
    this.#daemon.signal('SIGKILL');
    return this.#daemon.exited.then(() => undefined);
  }

  /** Ends everything. Twice is once. */
  async dispose(): Promise<void> {
    const hasCri = await this.#removePods();
    this.cri[Symbol.dispose]();
    await this.#daemon.stop();
    await removeInstance(this.directory, hasCri ? SHIM_GRACE_MS : 0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** @returns false when the daemon does not answer any more */
  async #removePods(): Promise<boolean> {
    try {
      const ids = await this.cri.sandboxIds();
      await Promise.all(ids.map((id) => this.cri.removePod(id)));
      return true;
    } catch {
      return false;
    }
  }
}

function writeConfig(directory: string, tcpAddress: string | undefined, criSettings: readonly string[]): void {
  const cniDirectory = join(directory, 'cni');
  mkdirSync(cniDirectory);
  const lines = [
    'version = 2',
    `root = "${directory}/root"`,
    `state = "${directory}/state"`,
    '[grpc]',
    `address = "${directory}/containerd.sock"`,
    ...(tcpAddress === undefined ? [] : [`tcp_address = "${tcpAddress}"`]),
    '[plugins."io.containerd.internal.v1.opt"]',
    `path = "${directory}/opt"`,
    '[plugins."io.containerd.grpc.v1.cri"]',
    `sandbox_image = "${PAUSE_IMAGE}"`,
    `disable_tcp_service = ${tcpAddress === undefined}`,
    'restrict_oom_score_adj = true',
    'netns_mounts_under_state_dir = true',
    ...criSettings,
    '[plugins."io.containerd.grpc.v1.cri".cni]',
    'bin_dir = "/usr/lib/cni"',
    `conf_dir = "${cniDirectory}"`,
  ];
  writeFileSync(join(directory, 'config.toml'), `${lines.join('\n')}\n`);
  writeFileSync(join(cniDirectory, '10-podwire.conflist'), JSON.stringify(networkConfig(directory)));
}

/** A point-to-point link from the host to each pod, from a range that no other instance is likely to have. */
function networkConfig(directory: string): unknown {
  const [second, third] = [100 + Math.floor(Math.random() * 100), Math.floor(Math.random() * 256)];
  const ipam = {
    type: 'host-local',
    dataDir: join(directory, 'ipam'),
    ranges: [[{ subnet: `10.${second}.${third}.0/24` }]],
  };
  return { cniVersion: '0.4.0', name: `podwire-${second}-${third}`, plugins: [{ type: 'ptp', ipMasq: false, ipam }] };
}
