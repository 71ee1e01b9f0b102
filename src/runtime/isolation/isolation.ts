import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { toError } from '../../common/errors.ts';
import {
  type ContainerConfig,
  grpcCodes,
  type LinuxContainerResources,
  NamespaceMode,
  type PodSandboxConfig,
  RuntimeCallError,
} from '../../cri/index.ts';
import { CgroupTree } from '../cgroup/index.ts';
import type { StoredImage } from '../image/index.ts';
import type { FifoPool, MarkedProcess } from '../process/index.ts';
import { capabilitiesOf } from './capabilities.ts';
import { Confinement, type ConfinementOptions } from './confinement.ts';
import { ContainerCgroup } from './container-cgroup.ts';
import { dropContainerRoot, makeContainerRoot, rootIn } from './container-root.ts';
import { type ImageUser, imageUserOf } from './image-user.ts';
import { assertMounts } from './mount-plan.ts';
import { mountsBelow, unmountBelow } from './mounts.ts';
import { PodNetwork } from './network.ts';
import { Pod, type PodOptions } from './pod.ts';
import { dismantleCgroup } from './pod-cgroup.ts';
import { assertContainerPossible, assertPodPossible } from './refusals.ts';
import { runTool, toolPath } from './tool.ts';
import { ToolsRoot } from './tools-root.ts';

const TOOLS = [
  'unshare',
  'nsenter',
  'setpriv',
  'setsid',
  'mount',
  'umount',
  'mountpoint',
  'pivot_root',
  'mkfifo',
  'realpath',
  'sh',
  'sleep',
  'tail',
];

export interface IsolationOptions {
  readonly stateDir: string;
  /** Mark of all processes of this runtime. */
  readonly marker: string;
  readonly pipes: FifoPool;
  /**
   * Whether a pod gets its namespaces when it is made. Else it does when the first container with walls is made in it:
   * where there is only the host image nothing is mounted.
   */
  readonly makesPodsAtOnce: () => boolean;
}

export interface ConfineOptions {
  readonly config: ContainerConfig;
  readonly image: StoredImage;
  readonly pod: Pod;
  /** The container's folder, not there yet. */
  readonly directory: string;
  /** Pid on the host of a running container, by its id; for the pid mode TARGET. */
  readonly pidOf: (containerId: string) => number | undefined;
}

/** A container that has been made. */
export interface FoundContainer extends Pick<ConfineOptions, 'config' | 'pod' | 'directory' | 'pidOf'> {
  readonly user: ImageUser;
  /** As it has them now. */
  readonly resources: LinuxContainerResources | undefined;
}

/** Why containers cannot have walls here, or undefined. Starts a process to see whether namespaces are allowed. */
export async function isolationObstacle(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `this is ${process.platform}, not Linux`;
  if (process.getuid?.() !== 0) return 'it takes root, or a user namespace of your own';
  const missing = TOOLS.find((name) => toolPath(name) === undefined);
  if (missing !== undefined) return `${missing}(1) is not installed`;
  try {
    await runTool(['unshare', '--mount', '--pid', '--ipc', '--uts', '--net', '--fork', '--', 'true']);
    return undefined;
  } catch (thrown) {
    return toError(thrown).message;
  }
}

/**
 * Pods and containers with walls of their own, made with util-linux.
 *
 * Owns: the tools root, made for the first of them; the folder of the pods.
 */
export class Isolation {
  /** undefined where CNI plugins are missing: pods then share the host's network. */
  readonly network: PodNetwork | undefined;
  /** undefined where no cgroup can be made: containers then have no limits, and who wants one is refused. */
  readonly cgroups = CgroupTree.find();
  readonly #options: IsolationOptions;
  #tools: Promise<ToolsRoot> | undefined;

  constructor(options: IsolationOptions) {
    this.#options = options;
    this.network = PodNetwork.find(options.stateDir);
  }

  /** @throws ExecPathError ERR_ISOLATION; RuntimeCallError InvalidArgument. A failed call leaves nothing behind */
  async createPod(id: string, config: PodSandboxConfig): Promise<Pod> {
    assertPodPossible(config.linux?.securityContext);
    const pod = new Pod(this.#podOptions(id, config));
    pod.assertPossible();
    if (this.#options.makesPodsAtOnce()) await pod.make();
    return pod;
  }

  /** A pod that another process of ours made; see {@link Pod.adopt}. */
  adoptPod(id: string, config: PodSandboxConfig, marked: readonly MarkedProcess[]): Promise<Pod | undefined> {
    return Pod.adopt(this.#podOptions(id, config), marked);
  }

  #podOptions(id: string, config: PodSandboxConfig): PodOptions {
    const { stateDir, marker } = this.#options;
    const tools = (): Promise<ToolsRoot> => this.#toolsRoot();
    const directory = podDir(stateDir, id);
    const { network, cgroups } = this;
    return { id, config, directory, marker: `${marker}/${id}`, tools, network, cgroups };
  }

  /** @throws RuntimeCallError; ExecPathError ERR_ISOLATION. A failed call leaves nothing behind */
  async confine(options: ConfineOptions): Promise<Confinement> {
    const { config, image, pod, directory, pidOf } = options;
    const context = config.linux?.securityContext;
    const capabilities = capabilitiesOf(context?.capabilities, context?.privileged === true);
    assertContainerPossible(config);
    assertMounts(config);
    const namespaces = context?.namespaceOptions;
    if (namespaces?.pid === NamespaceMode.TARGET && pidOf(namespaces.targetId) === undefined) {
      const rule = `container ${JSON.stringify(namespaces.targetId)} whose processes are wanted does not run`;
      throw new RuntimeCallError(grpcCodes.InvalidArgument, rule);
    }
    const cgroup = new ContainerCgroup(basename(directory), pod.cgroup, config.linux?.resources);
    const user = imageUserOf(image.rootfs, image.config.user, context);
    await Promise.all([this.#toolsRoot(), pod.make()]);
    mkdirSync(directory, { mode: 0o711 });
    try {
      await makeContainerRoot(image.rootfs, directory);
      return this.#confinement({ config, pod, directory, pidOf, user, capabilities, cgroup });
    } catch (thrown) {
      await dropContainerRoot(directory);
      rmSync(directory, { recursive: true, force: true });
      throw thrown;
    }
  }

  /** Made once; a failure is tried again. Whoever asks finds it held. */
  async #toolsRoot(): Promise<ToolsRoot> {
    const { stateDir, marker } = this.#options;
    this.#tools ??= ToolsRoot.create(join(stateDir, 'tools'), marker).catch((thrown: unknown) => {
      this.#tools = undefined;
      throw thrown;
    });
    const tools = await this.#tools;
    await tools.hold();
    return tools;
  }

  /** The walls of a container that another process of ours made; undefined when its root is not mounted any more. */
  findConfinement(options: FoundContainer): Confinement | undefined {
    if (mountsBelow(rootIn(options.directory)).length === 0) return undefined;
    const context = options.config.linux?.securityContext;
    const capabilities = capabilitiesOf(context?.capabilities, context?.privileged === true);
    const { resources, ...rest } = options;
    const cgroup = new ContainerCgroup(basename(rest.directory), rest.pod.cgroup, resources);
    return this.#confinement({ ...rest, capabilities, cgroup });
  }

  #confinement({
    pidOf,
    ...rest
  }: Omit<FoundContainer, 'resources'> & Pick<ConfinementOptions, 'capabilities' | 'cgroup'>): Confinement {
    const targetId = rest.config.linux?.securityContext?.namespaceOptions?.targetId ?? '';
    const { pipes } = this.#options;
    const root = rootIn(rest.directory);
    return new Confinement({ ...rest, root, tools: () => this.#toolsRoot(), pipes, targetPid: () => pidOf(targetId) });
  }

  /** @param options.keepPods leaves them for another process of ours */
  async close({ keepPods = false }: { readonly keepPods?: boolean } = {}): Promise<void> {
    const tools = await this.#tools?.catch(() => undefined);
    await tools?.close();
    if (!keepPods) rmSync(podsDir(this.#options.stateDir), { recursive: true, force: true });
  }
}

/**
 * Takes down what is left of a pod or container in `directory`, whose processes must be gone, and removes it.
 *
 * @returns why its network could not be taken down, if it could not
 */
export async function dismantle(stateDir: string, directory: string): Promise<string | undefined> {
  const network = PodNetwork.find(stateDir);
  let obstacle: string | undefined;
  // What cannot be taken down any more does not keep the runtime from starting.
  await network?.disconnect(join(directory, 'network.json')).catch((thrown: unknown) => {
    obstacle = toError(thrown).message;
  });
  const cgroup = join(directory, 'cgroup.json');
  const cgroups = existsSync(cgroup) ? CgroupTree.find() : undefined;
  if (cgroups !== undefined) await dismantleCgroup(cgroups, cgroup);
  await unmountBelow(directory);
  rmSync(directory, { recursive: true, force: true });
  return obstacle;
}

/** Ids of the pods that have a folder. */
export function podFolders(stateDir: string): string[] {
  const pods = podsDir(stateDir);
  return existsSync(pods) ? readdirSync(pods) : [];
}

/** Takes down the tools root of a runtime that was killed: who runs in a container has left it long ago. */
export async function dropTools(stateDir: string, marker: string): Promise<void> {
  await ToolsRoot.drop(join(stateDir, 'tools'), marker);
}

/** The folder of a pod. */
export function podDir(stateDir: string, id: string): string {
  return join(podsDir(stateDir), id);
}

function podsDir(stateDir: string): string {
  return join(stateDir, 'pods');
}
