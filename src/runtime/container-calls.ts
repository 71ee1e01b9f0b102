import { isUtf8 } from 'node:buffer';
import { constants } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import {
  type ContainerConfig,
  ContainerEventType,
  grpcCodes,
  type PodSandboxConfig,
  RuntimeCallError,
  type RuntimeServiceHandlers,
  Signal,
} from '../cri/index.ts';
import { Container } from './container.ts';
import { containerEntry, containerStateOf, containerStatus } from './container-status.ts';
import { HOST_IMAGE, HOST_IMAGE_ID, HOST_IMAGE_REF } from './host-image.ts';
import { userOf } from './host-user.ts';
import type { StoredImage } from './image/index.ts';
import type { Confinement } from './isolation/index.ts';
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
  | 'updateContainerResources'
>;

/** The calls about containers. @see cri.md 4.3 */
export function containerCalls(state: RuntimeState): ContainerCalls {
  return {
    createContainer: ({ podSandboxId, config, sandboxConfig }) =>
      state.make(async () => {
        const sandbox = state.sandboxes.get(podSandboxId);
        if (config === undefined) throw new RuntimeCallError(grpcCodes.InvalidArgument, 'container config is missing');
        assertReady(sandbox);
        const container = await newContainer(state, sandbox, config, sandboxConfig ?? sandbox.config);
        try {
          // While its root was made the pod may have been stopped, or the name taken.
          state.assertOpen();
          assertReady(sandbox);
          state.containers.add(container);
          container.save();
        } catch (thrown) {
          state.containers.delete(container);
          await container.remove();
          throw thrown;
        }
        state.tell(ContainerEventType.CONTAINER_CREATED_EVENT, sandbox, container);
        return { containerId: container.id };
      }),
    startContainer: async ({ containerId }) => {
      state.assertOpen();
      const container = state.containers.get(containerId);
      const sandbox = state.sandboxes.get(container.options.podSandboxId);
      assertReady(sandbox);
      await container.start();
      state.tell(ContainerEventType.CONTAINER_STARTED_EVENT, sandbox, container);
      state.tellEnd(sandbox, container);
      // The runtime may have been closed meanwhile, and then nobody else would stop it.
      if (state.isClosed) await container.stop('SIGKILL', 0);
      return {};
    },
    stopContainer: async ({ containerId, timeout }) => {
      const container = state.containers.find(containerId);
      if (container === undefined) return {};
      await container.stop(container.options.stopSignal, Number(timeout) * 1000);
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
    updateContainerResources: async ({ containerId, linux }) => {
      state.assertOpen();
      const container = state.containers.get(containerId);
      if (linux !== undefined) container.update(linux);
      return {};
    },
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

async function newContainer(
  state: RuntimeState,
  sandbox: Sandbox,
  config: ContainerConfig,
  sandboxConfig: PodSandboxConfig,
): Promise<Container> {
  const { metadata, image, workingDir, linux } = config;
  if (metadata === undefined || metadata.name === '') {
    throw new RuntimeCallError(grpcCodes.InvalidArgument, 'container config has no metadata');
  }
  const found = imageFor(state, sandbox, image?.image ?? '');
  const argv = commandOf(config, found);
  if (argv.length === 0) throw new RuntimeCallError(grpcCodes.InvalidArgument, 'no command specified');
  // As containerd: what the pod is now counts, for what came later to it may be privileged.
  if (linux?.securityContext?.privileged && !sandboxConfig.linux?.securityContext?.privileged) {
    throw new RuntimeCallError(grpcCodes.Unknown, 'no privileged container allowed in sandbox');
  }
  if (workingDir !== '' && !isAbsolute(workingDir)) {
    throw new RuntimeCallError(grpcCodes.InvalidArgument, `working dir ${JSON.stringify(workingDir)} is not absolute`);
  }
  const id = newId();
  const pod = sandbox.config.metadata;
  const name = [metadata.name, pod?.name, pod?.namespace, pod?.uid, metadata.attempt].join('_');
  const hostUser = found === undefined ? userOf(linux?.securityContext) : undefined;
  state.containers.assertFree(name);
  const { directory } = state.surroundings(id);
  const logPath = logPathOf(config, sandboxConfig);
  const confinement = await confine(state, sandbox, { config, image: found, directory });
  const home = confinement?.options.user.home ?? directory;
  return new Container({
    id,
    name,
    podSandboxId: sandbox.id,
    config,
    argv,
    env: environment(config, sandboxConfig, { home, image: found?.config.env ?? [] }),
    cwd: workingDir || (found === undefined ? directory : found.config.workingDir || '/'),
    user: confinement?.options.user ?? hostUser,
    logPath,
    ...state.surroundings(id),
    image:
      found === undefined
        ? { id: HOST_IMAGE_ID, reference: HOST_IMAGE_REF }
        : { id: found.id, reference: found.repoDigests[0] ?? found.id },
    confinement,
    stopSignal: stopSignalOf(config.stopSignal, found?.config.stopSignal ?? ''),
  });
}

/**
 * @returns undefined for the host image
 * @throws RuntimeCallError NotFound for one that is not there, FailedPrecondition for one that needs walls
 */
function imageFor(state: RuntimeState, sandbox: Sandbox, reference: string): StoredImage | undefined {
  if (state.image.isNamedBy(reference)) return undefined;
  const image = state.images.find(reference);
  if (image === undefined) {
    const rule = `this runtime has ${HOST_IMAGE} and what \`podwire image import\` gave it`;
    throw new RuntimeCallError(grpcCodes.NotFound, `image ${JSON.stringify(reference)} not found: ${rule}`);
  }
  if (sandbox.pod !== undefined) return image;
  const rule = `this runtime has no walls for containers (${state.obstacle}), so it runs ${HOST_IMAGE} alone`;
  throw new RuntimeCallError(grpcCodes.FailedPrecondition, `image ${JSON.stringify(reference)} cannot be run: ${rule}`);
}

async function confine(
  state: RuntimeState,
  { pod }: Sandbox,
  {
    image,
    ...rest
  }: { readonly config: ContainerConfig; readonly image: StoredImage | undefined; readonly directory: string },
): Promise<Confinement | undefined> {
  if (image === undefined || pod === undefined) return undefined;
  return state.isolation?.confine({ ...rest, image, pod, pidOf: state.pidOf });
}

/** A command replaces the image's entry point and its arguments, arguments replace the arguments alone. */
function commandOf({ command, args }: ContainerConfig, image: StoredImage | undefined): string[] {
  if (command.length > 0 || image === undefined) return [...command, ...args];
  const { entrypoint, cmd } = image.config;
  return [...entrypoint, ...(args.length > 0 ? args : cmd)];
}

function environment(
  config: ContainerConfig,
  sandbox: PodSandboxConfig,
  { home, image }: { readonly home: string; readonly image: readonly string[] },
): Record<string, string> {
  const base = { PATH: IMAGE_PATH, HOME: home, HOSTNAME: sandbox.hostname || (sandbox.metadata?.name ?? '') };
  const own = config.envs.map(({ key, value }): [string, string] => [key, textOf(key, value)]);
  const given = image.map((pair): [string, string] => [pair.replace(/=.*$/s, ''), pair.replace(/^[^=]*=?/s, '')]);
  return { ...base, ...(config.tty && { TERM: 'xterm' }), ...Object.fromEntries(given), ...Object.fromEntries(own) };
}

/** @throws RuntimeCallError InvalidArgument for bytes that are no text: they would become others */
function textOf(key: string, value: Uint8Array): string {
  if (isUtf8(value)) return Buffer.from(value).toString();
  throw new RuntimeCallError(grpcCodes.InvalidArgument, `the value of environment variable ${key} is not UTF-8`);
}

/** @throws RuntimeCallError InvalidArgument for a path that leaves the pod's log directory */
function logPathOf({ logPath }: ContainerConfig, { logDirectory }: PodSandboxConfig): string | undefined {
  if (logDirectory === '' || logPath === '') return undefined;
  const path = join(logDirectory, logPath);
  if (isAbsolute(logDirectory) && !relative(logDirectory, path).startsWith('..')) return path;
  const quoted = `${JSON.stringify(logPath)} is not inside ${JSON.stringify(logDirectory)}`;
  throw new RuntimeCallError(grpcCodes.InvalidArgument, `log path ${quoted}`);
}

/** The signal that stops a container: its own, else the image's, else SIGTERM. */
function stopSignalOf(signal: Signal, ofImage: string): NodeJS.Signals | number {
  if (signal !== Signal.RUNTIME_DEFAULT)
    return signalNamed((Signal[signal] ?? '').replace('PLUS', '+').replace('MINUS', '-'));
  return ofImage === '' ? 'SIGTERM' : signalNamed(ofImage);
}

/** @param name `SIGINT`, `INT`, `2`, `SIGRTMIN+3`; SIGTERM for what is no signal */
function signalNamed(name: string): NodeJS.Signals | number {
  if (/^\d+$/.test(name)) return Number(name);
  const full = name.toUpperCase().replace(/^(?!SIG)/, 'SIG');
  const realTime = /^SIGRT(MIN|MAX)(?:[+-](\d+))?$/.exec(full);
  if (realTime !== null) {
    const offset = Number(realTime[2] ?? 0);
    return realTime[1] === 'MIN' ? SIGRTMIN + offset : SIGRTMAX - offset;
  }
  const known = full === 'SIGCLD' ? 'SIGCHLD' : full;
  return known in constants.signals ? (known as NodeJS.Signals) : 'SIGTERM';
}
