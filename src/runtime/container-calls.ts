import { isAbsolute, join, relative } from 'node:path';
import {
  type ContainerConfig,
  grpcCodes,
  type PodSandboxConfig,
  RuntimeCallError,
  type RuntimeServiceHandlers,
  Signal,
} from '../cri/index.ts';
import { Container } from './container.ts';
import { containerEntry, containerStateOf, containerStatus } from './container-status.ts';
import { HOST_IMAGE } from './host-image.ts';
import { userOf } from './host-user.ts';
import { matchesLabels, newId } from './object-store.ts';
import type { RuntimeState } from './runtime-state.ts';
import type { Sandbox } from './sandbox.ts';

/** Where programs are found, as in most images. */
const IMAGE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Number of the first real-time signal that programs may use, in the C library. */
const SIGRTMIN = 34;
const SIGRTMAX = 64;

type ContainerCalls = Pick<
  RuntimeServiceHandlers,
  | 'createContainer'
  | 'startContainer'
  | 'stopContainer'
  | 'removeContainer'
  | 'listContainers'
  | 'containerStatus'
  | 'reopenContainerLog'
>;

/** The calls about containers. @see cri.md 4.3 */
export function containerCalls(state: RuntimeState): ContainerCalls {
  return {
    createContainer: async ({ podSandboxId, config, sandboxConfig }) => {
      state.assertOpen();
      const sandbox = state.sandboxes.get(podSandboxId);
      if (config === undefined) throw new RuntimeCallError(grpcCodes.InvalidArgument, 'container config is missing');
      assertReady(sandbox);
      const container = newContainer(state, sandbox, config, sandboxConfig ?? sandbox.config);
      state.containers.add(container);
      return { containerId: container.id };
    },
    startContainer: async ({ containerId }) => {
      state.assertOpen();
      const container = state.containers.get(containerId);
      assertReady(state.sandboxes.get(container.options.podSandboxId));
      await container.start();
      // The runtime may have been closed meanwhile, and then nobody else would stop it.
      if (state.isClosed) await container.stop('SIGKILL', 0);
      return {};
    },
    stopContainer: async ({ containerId, timeout }) => {
      const container = state.containers.find(containerId);
      if (container === undefined) return {};
      await container.stop(signalOf(container.options.config.stopSignal), Number(timeout) * 1000);
      return {};
    },
    removeContainer: async ({ containerId }) => {
      const container = state.containers.find(containerId);
      if (container !== undefined) await state.removeContainer(container);
      return {};
    },
    listContainers: async ({ filter }) => {
      const sandboxId = filter?.podSandboxId ? state.sandboxes.find(filter.podSandboxId)?.id : undefined;
      const only = filter?.id ? [state.containers.find(filter.id)] : state.containers.values();
      const containers = only
        .filter((container) => container !== undefined)
        .filter(({ options }) => !filter?.podSandboxId || options.podSandboxId === sandboxId)
        .filter((container) => filter?.state === undefined || filter.state.state === containerStateOf(container))
        .filter(({ options }) => matchesLabels(options.config.labels, filter?.labelSelector))
        .map(containerEntry);
      return { containers };
    },
    containerStatus: async ({ containerId, verbose }) => containerStatus(state.containers.get(containerId), verbose),
    reopenContainerLog: async ({ containerId }) => {
      await state.containers.get(containerId).reopenLog();
      return {};
    },
  };
}

function assertReady(sandbox: Sandbox): void {
  if (sandbox.isReady) return;
  throw new RuntimeCallError(grpcCodes.Unknown, `sandbox container ${JSON.stringify(sandbox.id)} is not running`);
}

function newContainer(
  state: RuntimeState,
  sandbox: Sandbox,
  config: ContainerConfig,
  sandboxConfig: PodSandboxConfig,
): Container {
  const { metadata, image, command, args, workingDir, linux } = config;
  if (metadata === undefined || metadata.name === '') {
    throw new RuntimeCallError(grpcCodes.InvalidArgument, 'container config has no metadata');
  }
  const reference = image?.image ?? '';
  if (!state.image.isNamedBy(reference)) {
    throw new RuntimeCallError(
      grpcCodes.NotFound,
      `image ${JSON.stringify(reference)} not found: this runtime has no images but ${HOST_IMAGE}`,
    );
  }
  const argv = [...command, ...args];
  if (argv.length === 0) throw new RuntimeCallError(grpcCodes.InvalidArgument, 'no command specified');
  if (linux?.securityContext?.privileged && !sandbox.config.linux?.securityContext?.privileged) {
    throw new RuntimeCallError(grpcCodes.Unknown, 'no privileged container allowed in sandbox');
  }
  if (workingDir !== '' && !isAbsolute(workingDir)) {
    throw new RuntimeCallError(grpcCodes.InvalidArgument, `working dir ${JSON.stringify(workingDir)} is not absolute`);
  }
  const id = newId();
  const pod = sandbox.config.metadata;
  const directory = join(state.containersDir, id);
  return new Container({
    id,
    name: [metadata.name, pod?.name, pod?.namespace, pod?.uid, metadata.attempt].join('_'),
    podSandboxId: sandbox.id,
    config,
    directory,
    argv,
    env: environment(config, sandboxConfig, directory),
    cwd: workingDir === '' ? directory : workingDir,
    user: userOf(linux?.securityContext),
    logPath: logPathOf(config, sandboxConfig),
    marker: `${state.marker}/${id}`,
    pipes: state.pipes,
  });
}

function environment(config: ContainerConfig, sandbox: PodSandboxConfig, home: string): Record<string, string> {
  const image = { PATH: IMAGE_PATH, HOME: home, HOSTNAME: sandbox.hostname || (sandbox.metadata?.name ?? '') };
  const own = config.envs.map(({ key, value }): [string, string] => [key, Buffer.from(value).toString()]);
  return { ...image, ...(config.tty && { TERM: 'xterm' }), ...Object.fromEntries(own) };
}

/** @throws RuntimeCallError InvalidArgument for a path that leaves the pod's log directory */
function logPathOf({ logPath }: ContainerConfig, { logDirectory }: PodSandboxConfig): string | undefined {
  if (logDirectory === '' || logPath === '') return undefined;
  const path = join(logDirectory, logPath);
  if (isAbsolute(logDirectory) && !relative(logDirectory, path).startsWith('..')) return path;
  const quoted = `${JSON.stringify(logPath)} is not inside ${JSON.stringify(logDirectory)}`;
  throw new RuntimeCallError(grpcCodes.InvalidArgument, `log path ${quoted}`);
}

/** The signal that stops a container: SIGTERM unless it says another. */
function signalOf(signal: Signal): NodeJS.Signals | number {
  if (signal === Signal.RUNTIME_DEFAULT) return 'SIGTERM';
  const name = Signal[signal] ?? 'SIGTERM';
  const realTime = /^SIGRT(MIN|MAX)(?:PLUS|MINUS)?(\d*)$/.exec(name);
  if (realTime === null) return name === 'SIGCLD' ? 'SIGCHLD' : (name as NodeJS.Signals);
  const offset = Number(realTime[2] ?? 0);
  return realTime[1] === 'MIN' ? SIGRTMIN + offset : SIGRTMAX - offset;
}
