import { ContainerState } from '../cri/index.ts';
import type { Container } from './container.ts';

/** The state of `container` in CRI's words. One that is being started is still created. */
export function containerStateOf(container: Container): ContainerState {
  switch (container.phase) {
    case 'created':
    case 'starting':
      return ContainerState.CONTAINER_CREATED;
    case 'running':
      return ContainerState.CONTAINER_RUNNING;
    case 'exited':
      return ContainerState.CONTAINER_EXITED;
  }
}

function common(container: Container) {
  const { config } = container.options;
  return {
    id: container.id,
    ...(config.metadata && { metadata: config.metadata }),
    state: containerStateOf(container),
    createdAt: container.createdAt,
    image: { image: config.image?.image ?? '' },
    imageRef: container.options.image.reference,
    imageId: container.options.image.id,
    labels: config.labels,
    annotations: config.annotations,
  };
}

/** One item of ListContainers. */
export function containerEntry(container: Container) {
  return { ...common(container), podSandboxId: container.options.podSandboxId };
}

/** The answer to ContainerStatus. */
export function containerStatus(container: Container, verbose: boolean) {
  const { options, ending } = container;
  const user = options.user ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const linux = {
    uid: BigInt(user.uid),
    gid: BigInt(user.gid),
    // With the first one, as containerd has it.
    supplementalGroups: [...new Set(options.user === undefined ? [] : [user.gid, ...(options.user.groups ?? [])])].map(
      BigInt,
    ),
  };
  const { resources } = container;
  const status = {
    ...common(container),
    startedAt: container.startedAt,
    finishedAt: ending?.finishedAt ?? 0n,
    exitCode: ending?.exitCode ?? 0,
    reason: ending?.reason ?? '',
    message: ending?.message ?? '',
    mounts: options.config.mounts,
    logPath: options.logPath ?? '',
    user: { linux },
    stopSignal: options.config.stopSignal,
    ...(resources && { resources: { linux: resources } }),
  };
  return { status, ...(verbose && { info: info(container) }) };
}

/** Says what was asked for and not done, too. */
function info(container: Container): Record<string, string> {
  const { argv, cwd, directory, config, confinement } = container.options;
  const cgroup = confinement?.options.cgroup;
  return {
    info: JSON.stringify({
      pid: container.pid ?? 0,
      argv,
      cwd,
      directory,
      isolation: confinement === undefined ? 'none' : 'namespaces',
      cgroup: cgroup?.path ?? 'none',
      limitsNotSet: confinement === undefined ? 'all' : (cgroup?.unset ?? []),
      // The host has no tool that sets a filter: RuntimeDefault is what a kernel without seccomp makes of it.
      seccomp: 'unconfined',
      mountsNotMade: confinement === undefined ? config.mounts.map((mount) => mount.containerPath) : [],
    }),
  };
}
