import { type CriClient, MountPropagation, NamespaceMode } from '../cri/index.ts';
import type { Container, Pod, VolumeMount } from '../kubeapi/index.ts';
import { containerResources } from './container-resources.ts';
import { containerSecurity } from './container-security.ts';
import { type EnvironmentSources, environmentOf, expand, expandAll } from './environment.ts';
import type { FileMount } from './hosts-file.ts';
import { manifestError } from './manifest-error.ts';
import { allContainersOf } from './pod-containers.ts';
import { type PodFolders, podLogFolder, segment } from './pod-folders.ts';
import { kernelHostname } from './pod-hostname.ts';
import { sysctlsOf } from './pod-sysctls.ts';
import { portMappings } from './port-mappings.ts';
import type { ResolverConfig } from './resolver-config.ts';
import { terminationAnnotations } from './termination-message.ts';
import { resolveSubPath } from './volumes/sub-path.ts';
import { hasFiles } from './volumes/volume-files.ts';
import { leavesItsFolder, volumePath } from './volumes/volume-path.ts';

/** Annotation and label names that the kubelet puts on what it runs (cri.md 5). */
export const podLabels = {
  name: 'io.kubernetes.pod.name',
  namespace: 'io.kubernetes.pod.namespace',
  uid: 'io.kubernetes.pod.uid',
  container: 'io.kubernetes.container.name',
} as const;

/** Annotation of sandboxes with the name of the node whose kubelet made them: no other sandbox is ever removed. */
export const STARTED_BY = 'podwire.local/started-by';

type CreateRequest = Parameters<CriClient['runtime']['createContainer']>[0];
type RunRequest = Parameters<CriClient['runtime']['runPodSandbox']>[0];
export type SandboxConfig = NonNullable<RunRequest['config']>;
export type ContainerConfig = NonNullable<CreateRequest['config']>;

/** What the kubelet knows of names. */
export interface SandboxNaming {
  /** Default: none. */
  readonly clusterDomain?: string | undefined;
  /** Default: the runtime gives the pod the machine's. */
  readonly resolver?: ResolverConfig | undefined;
}

/**
 * How the runtime is to make the pod's sandbox.
 *
 * @throws ExecPathError ERR_MANIFEST for a name that cannot stand in a path or is too long for a host, and for what this
 * kubelet cannot give a pod
 */
export function sandboxConfig(
  pod: Pod,
  attempt: number,
  folders: PodFolders,
  { clusterDomain, resolver }: SandboxNaming = {},
): SandboxConfig {
  const { name, namespace = 'default', uid = '' } = pod.metadata;
  const { spec } = pod;
  if (spec.hostUsers === false) throw manifestError("hostUsers: podwire's kubelet has no user namespaces for pods");
  return {
    metadata: { name, namespace, uid, attempt },
    hostname: kernelHostname(pod, clusterDomain),
    ...(resolver === undefined ? {} : { dnsConfig: resolver }),
    portMappings: portMappings(pod),
    logDirectory: podLogFolder(folders, { namespace, name, uid }),
    labels: { ...pod.metadata.labels, [podLabels.name]: name, [podLabels.namespace]: namespace, [podLabels.uid]: uid },
    annotations: { ...pod.metadata.annotations, [STARTED_BY]: spec.nodeName ?? '' },
    linux: {
      sysctls: sysctlsOf(pod),
      securityContext: {
        namespaceOptions: namespaceOptions(pod),
        privileged: allContainersOf(pod).some((container) => container.securityContext?.privileged === true),
      },
    },
  };
}

function namespaceOptions(pod: Pod): { network: NamespaceMode; pid: NamespaceMode; ipc: NamespaceMode } {
  const { spec } = pod;
  return {
    network: spec.hostNetwork === true ? NamespaceMode.NODE : NamespaceMode.POD,
    pid:
      spec.hostPID === true
        ? NamespaceMode.NODE
        : spec.shareProcessNamespace === true
          ? NamespaceMode.POD
          : NamespaceMode.CONTAINER,
    ipc: spec.hostIPC === true ? NamespaceMode.NODE : NamespaceMode.POD,
  };
}

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
