import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { toError } from '../../common/errors.ts';
import {
  type ContainerConfig,
  grpcCodes,
  NamespaceMode,
  type PodSandboxConfig,
  RuntimeCallError,
  SecurityProfile_ProfileType,
} from '../../cri/index.ts';
import { CgroupTree } from '../cgroup/index.ts';
import type { StoredImage } from '../image/index.ts';
import type { FifoPool } from '../process/index.ts';
import { capabilitiesOf } from './capabilities.ts';
import { Confinement } from './confinement.ts';
import { ContainerCgroup } from './container-cgroup.ts';
import { dropContainerRoot, makeContainerRoot } from './container-root.ts';
import { imageUserOf } from './image-user.ts';
import { assertMounts } from './mount-plan.ts';
import { unmountBelow } from './mounts.ts';
import { PodNetwork } from './network.ts';
import { Pod } from './pod.ts';
import { dismantleCgroup } from './pod-cgroup.ts';
import { runTool, toolPath } from './tool.ts';
import { ToolsRoot } from './tools-root.ts';

const TOOLS = [
  'unshare',
  'nsenter',
  'setpriv',
  'setsid',
  'mount',
  'umount',
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

/** Why containers cannot have walls here, or undefined. Starts a process to see whether namespaces are allowed. */
export async function isolationObstacle(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `this is ${process.platform}, not Linux`;
  if (process.getuid?.() !== 0) return 'it takes root';
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
    const { stateDir, marker, makesPodsAtOnce } = this.#options;
    const directory = join(podsDir(stateDir), id);
    const tools = (): Promise<ToolsRoot> => this.#toolsRoot();
    const { network, cgroups } = this;
    const pod = new Pod({ id, config, directory, marker: `${marker}/${id}`, tools, network, cgroups });
    if (makesPodsAtOnce()) await pod.make();
    return pod;
  }

  /** @throws RuntimeCallError; ExecPathError ERR_ISOLATION. A failed call leaves nothing behind */
  async confine(options: ConfineOptions): Promise<Confinement> {
    const { config, image, pod, directory, pidOf } = options;
    const context = config.linux?.securityContext;
    const capabilities = capabilitiesOf(context?.capabilities, context?.privileged === true);
    assertPossible(config);
    assertMounts(config);
    const namespaces = context?.namespaceOptions;
    const target = namespaces?.pid === NamespaceMode.TARGET ? pidOf(namespaces.targetId) : undefined;
    if (namespaces?.pid === NamespaceMode.TARGET && target === undefined) {
      const rule = `container ${JSON.stringify(namespaces.targetId)} whose processes are wanted does not run`;
      throw new RuntimeCallError(grpcCodes.InvalidArgument, rule);
    }
    const cgroup = new ContainerCgroup(basename(directory), pod.cgroup, config.linux?.resources);
    const user = imageUserOf(image.rootfs, image.config.user, context);
    const [tools] = await Promise.all([this.#toolsRoot(), pod.make()]);
    mkdirSync(directory, { mode: 0o711 });
    try {
      const root = await makeContainerRoot(image.rootfs, directory);
      const { pipes } = this.#options;
      const shared = target === undefined ? {} : { targetPidNamespace: `/proc/${target}/ns/pid` };
      return new Confinement({
        config,
        directory,
        root,
        pod,
        tools,
        user,
        capabilities,
        pipes,
        cgroup,
        ...shared,
      });
    } catch (thrown) {
      await dropContainerRoot(directory);
      rmSync(directory, { recursive: true, force: true });
      throw thrown;
    }
  }

  /** Made once; a failure is tried again. */
  #toolsRoot(): Promise<ToolsRoot> {
    const { stateDir, marker } = this.#options;
    this.#tools ??= ToolsRoot.create(join(stateDir, 'tools'), marker).catch((thrown: unknown) => {
      this.#tools = undefined;
      throw thrown;
    });
    return this.#tools;
  }

  async close(): Promise<void> {
    const tools = await this.#tools?.catch(() => undefined);
    await tools?.close();
    rmSync(podsDir(this.#options.stateDir), { recursive: true, force: true });
  }
}

/** Takes down what a runtime that was killed left mounted or connected. Its processes must be gone. */
export async function dismantle(stateDir: string): Promise<void> {
  const pods = podsDir(stateDir);
  const network = PodNetwork.find(stateDir);
  const cgroups = existsSync(pods) ? CgroupTree.find() : undefined;
  for (const id of existsSync(pods) ? readdirSync(pods) : []) {
    // What cannot be taken down any more does not keep the runtime from starting.
    await network?.disconnect(join(pods, id, 'network.json')).catch(() => {});
    if (cgroups !== undefined) await dismantleCgroup(cgroups, join(pods, id, 'cgroup.json'));
  }
  await unmountBelow(stateDir);
  rmSync(pods, { recursive: true, force: true });
}

function podsDir(stateDir: string): string {
  return join(stateDir, 'pods');
}

/** What would have to be pretended is refused. */
function assertPossible({ linux }: ContainerConfig): void {
  const context = linux?.securityContext;
  const wanted = [
    context?.seccomp?.profileType === SecurityProfile_ProfileType.Localhost &&
      !context.privileged &&
      'a seccomp profile',
    context?.apparmor?.profileType === SecurityProfile_ProfileType.Localhost && 'an AppArmor profile',
    context?.selinuxOptions !== undefined && 'SELinux labels',
    context?.namespaceOptions?.usernsOptions?.mode === NamespaceMode.POD && 'a user namespace',
    (context?.capabilities?.addAmbientCapabilities.length ?? 0) > 0 && 'ambient capabilities',
  ].find((what) => typeof what === 'string');
  if (wanted !== undefined)
    throw new RuntimeCallError(grpcCodes.InvalidArgument, `this runtime cannot give a container ${wanted}`);
}
