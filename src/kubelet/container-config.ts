import { type CriClient, MountPropagation, NamespaceMode } from '../cri/index.ts';
import type { Container, Pod, VolumeMount } from '../kubeapi/index.ts';
import { containerResources } from './container-resources.ts';
import { containerSecurity } from './container-security.ts';
import { type EnvironmentSources, environmentOf, expand, expandAll } from './environment.ts';
import type { FileMount } from './hosts-file.ts';
import { manifestError } from './manifest-error.ts';
import { type PodFolders, segment } from './pod-folders.ts';
import { podLabels } from './pod-labels.ts';
import { namespaceOptions } from './sandbox-config.ts';
import { terminationAnnotations } from './termination-message.ts';
import { resolveSubPath } from './volumes/sub-path.ts';
import { hasFiles } from './volumes/volume-files.ts';
import { leavesItsFolder, volumePath } from './volumes/volume-path.ts';

type CreateRequest = Parameters<CriClient['runtime']['createContainer']>[0];
export type ContainerConfig = NonNullable<CreateRequest['config']>;

/** What the node and the apiserver have for a container. */
export interface ContainerSources extends EnvironmentSources {
  readonly folders: PodFolders;
  /** The container whose processes it is to see, by its id in the runtime. Default: as its pod says. */
  readonly targetId?: string | undefined;
  /** What the kubelet itself mounts into it. Default: nothing. */
  readonly files?: readonly FileMount[];
}

/**
 * How the runtime is to make one container of the pod.
 *
 * @throws ExecPathError ERR_MANIFEST for what this kubelet cannot give a container; what its references throw
 */
export async function containerConfig(
  pod: Pod,
  container: Container,
  attempt: number,
  { folders, targetId, files = [], ...sources }: ContainerSources,
): Promise<ContainerConfig> {
  const variables = await environmentOf(pod, container, sources);
  const { name, namespace = 'default', uid = '' } = pod.metadata;
  return {
    metadata: { name: container.name, attempt },
    image: { image: container.image ?? '' },
    command: (container.command ?? []).map((word) => expand(word, variables)),
    args: (container.args ?? []).map((word) => expand(word, variables)),
    workingDir: container.workingDir ?? '',
    envs: [...variables].map(([key, value]) => ({ key, value: new TextEncoder().encode(value) })),
    mounts: [
      ...(container.volumeMounts ?? []).map((mount) => mountConfig(pod, mount, { folders, variables })),
      ...files,
    ],
    labels: {
      [podLabels.name]: name,
      [podLabels.namespace]: namespace,
      [podLabels.uid]: uid,
      [podLabels.container]: container.name,
    },
    annotations: { 'io.kubernetes.container.restartCount': String(attempt), ...terminationAnnotations(container) },
    logPath: `${segment('container name', container.name)}/${attempt}.log`,
    stdin: container.stdin === true,
    stdinOnce: container.stdinOnce === true,
    tty: container.tty === true,
    linux: {
      resources: containerResources(pod, container),
      securityContext: {
        ...containerSecurity(pod, container),
        namespaceOptions: {
          ...namespaceOptions(pod),
          ...(targetId === undefined ? {} : { pid: NamespaceMode.TARGET, targetId }),
        },
      },
    },
  };
}

function mountConfig(
  pod: Pod,
  mount: VolumeMount,
  { folders, variables }: { readonly folders: PodFolders; readonly variables: ReadonlyMap<string, string> },
): NonNullable<ContainerConfig['mounts']>[number] {
  const volume = pod.spec.volumes?.find(({ name }) => name === mount.name);
  if (volume === undefined) throw manifestError(`volumeMount ${mount.name} names no volume of the pod`);
  const subPath = mount.subPathExpr ? expandAll(mount.subPathExpr, variables) : mount.subPath;
  if (subPath !== undefined && (subPath.startsWith('/') || leavesItsFolder(subPath))) {
    throw manifestError(`subPath ${JSON.stringify(subPath)} of volumeMount ${mount.name} leaves its volume`);
  }
  const path = volumePath(pod, volume, folders);
  return {
    containerPath: mount.mountPath,
    hostPath: subPath === undefined || subPath === '' ? path : resolveSubPath(path, subPath),
    readonly: mount.readOnly === true || hasFiles(volume),
    propagation: {
      None: MountPropagation.PROPAGATION_PRIVATE,
      HostToContainer: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
      Bidirectional: MountPropagation.PROPAGATION_BIDIRECTIONAL,
    }[mount.mountPropagation ?? 'None'],
  };
}
