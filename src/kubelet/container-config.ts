import { ExecPathError } from '../common/errors.ts';
import { type CriClient, MountPropagation, NamespaceMode } from '../cri/index.ts';
import type { Container, Pod, Volume, VolumeMount } from '../kubeapi/index.ts';
import { environmentOf, expand, type PodAddresses } from './environment.ts';
import { resolveSubPath } from './sub-path.ts';

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

export interface PodFolders {
  /** `podLogsDir`; upstream's default is /var/log/pods. */
  readonly logs: string;
  /** Where a pod's volumes live: `<volumes>/<uid>/<volume>`. */
  readonly volumes: string;
}

/**
 * How the runtime is to make the pod's sandbox.
 *
 * @throws ExecPathError ERR_MANIFEST for a name that cannot stand in a path
 */
export function sandboxConfig(pod: Pod, attempt: number, folders: PodFolders): SandboxConfig {
  const { name, namespace = 'default', uid = '' } = pod.metadata;
  const { spec } = pod;
  return {
    metadata: { name, namespace, uid, attempt },
    hostname: spec.hostNetwork === true ? '' : (spec.hostname ?? name).slice(0, 63),
    logDirectory: podLogFolder(folders, { namespace, name, uid }),
    labels: { ...pod.metadata.labels, [podLabels.name]: name, [podLabels.namespace]: namespace, [podLabels.uid]: uid },
    annotations: { ...pod.metadata.annotations, [STARTED_BY]: spec.nodeName ?? '' },
    linux: {
      securityContext: {
        namespaceOptions: namespaceOptions(pod),
        privileged: spec.containers.some((container) => container.securityContext?.privileged === true),
      },
    },
  };
}

/**
 * The folder of a pod's container logs.
 *
 * @throws ExecPathError ERR_MANIFEST for a name that cannot stand in a path
 */
export function podLogFolder(
  folders: PodFolders,
  { namespace, name, uid }: { readonly namespace: string; readonly name: string; readonly uid: string },
): string {
  const parts = [segment('namespace', namespace), segment('pod name', name), segment('uid', uid)];
  return `${folders.logs}/${parts.join('_')}`;
}

/**
 * The folder of a pod's volumes.
 *
 * @throws ExecPathError ERR_MANIFEST for a uid that cannot stand in a path
 */
export function podVolumesFolder(folders: PodFolders, uid: string): string {
  return `${folders.volumes}/${segment('uid', uid)}`;
}

/** The apiserver checks names too; but it may be another's, and a manifest or a sandbox comes from anywhere. */
function segment(what: string, text: string): string {
  if (/^[A-Za-z0-9][\w.-]{0,252}$/.test(text)) return text;
  throw refused(`${what} ${JSON.stringify(text)} cannot be a part of a path`);
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

/**
 * How the runtime is to make one container of the pod.
 *
 * @throws ExecPathError ERR_MANIFEST for what this kubelet cannot give a container
 */
export function containerConfig(
  pod: Pod,
  container: Container,
  attempt: number,
  folders: PodFolders,
  addresses: PodAddresses = { hostIP: '', podIPs: [] },
): ContainerConfig {
  const variables = environmentOf(pod, container, addresses);
  const { name, namespace = 'default', uid = '' } = pod.metadata;
  const security = { ...container.securityContext };
  const runAsUser = security.runAsUser ?? pod.spec.securityContext?.runAsUser;
  const runAsGroup = security.runAsGroup ?? pod.spec.securityContext?.runAsGroup;
  return {
    metadata: { name: container.name, attempt },
    image: { image: container.image ?? '' },
    command: (container.command ?? []).map((word) => expand(word, variables)),
    args: (container.args ?? []).map((word) => expand(word, variables)),
    workingDir: container.workingDir ?? '',
    envs: [...variables].map(([key, value]) => ({ key, value: new TextEncoder().encode(value) })),
    mounts: (container.volumeMounts ?? []).map((mount) => mountConfig(pod, mount, folders)),
    labels: {
      [podLabels.name]: name,
      [podLabels.namespace]: namespace,
      [podLabels.uid]: uid,
      [podLabels.container]: container.name,
    },
    annotations: { 'io.kubernetes.container.restartCount': String(attempt) },
    logPath: `${segment('container name', container.name)}/${attempt}.log`,
    stdin: container.stdin === true,
    stdinOnce: container.stdinOnce === true,
    tty: container.tty === true,
    linux: {
      securityContext: {
        namespaceOptions: namespaceOptions(pod),
        privileged: security.privileged === true,
        readonlyRootfs: security.readOnlyRootFilesystem === true,
        noNewPrivs: security.allowPrivilegeEscalation === false,
        ...(runAsUser === undefined ? {} : { runAsUser: { value: BigInt(runAsUser) } }),
        ...(runAsGroup === undefined ? {} : { runAsGroup: { value: BigInt(runAsGroup) } }),
        supplementalGroups: (pod.spec.securityContext?.supplementalGroups ?? []).map(BigInt),
        capabilities: {
          addCapabilities: [...(security.capabilities?.add ?? [])],
          dropCapabilities: [...(security.capabilities?.drop ?? [])],
        },
      },
    },
  };
}

function mountConfig(
  pod: Pod,
  mount: VolumeMount,
  folders: PodFolders,
): NonNullable<ContainerConfig['mounts']>[number] {
  const volume = pod.spec.volumes?.find(({ name }) => name === mount.name);
  if (volume === undefined) throw refused(`volumeMount ${mount.name} names no volume of the pod`);
  const { subPath } = mount;
  if (subPath !== undefined && (subPath.startsWith('/') || leavesItsFolder(subPath))) {
    throw refused(`subPath ${JSON.stringify(subPath)} of volumeMount ${mount.name} leaves its volume`);
  }
  const path = volumePath(pod, volume, folders);
  return {
    containerPath: mount.mountPath,
    hostPath: subPath === undefined || subPath === '' ? path : resolveSubPath(path, subPath),
    readonly: mount.readOnly === true,
    propagation: {
      None: MountPropagation.PROPAGATION_PRIVATE,
      HostToContainer: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
      Bidirectional: MountPropagation.PROPAGATION_BIDIRECTIONAL,
    }[mount.mountPropagation ?? 'None'],
  };
}

/** @throws ExecPathError ERR_MANIFEST for kinds of volumes other than emptyDir and hostPath, and for unfit paths */
export function volumePath(pod: Pod, volume: Volume, folders: PodFolders): string {
  if (volume.hostPath !== undefined) {
    const { path } = volume.hostPath;
    if (path.startsWith('/') && !leavesItsFolder(path)) return path;
    throw refused(`hostPath ${JSON.stringify(path)} of volume ${volume.name} must be absolute and without ".."`);
  }
  if (volume.emptyDir !== undefined) {
    return `${podVolumesFolder(folders, pod.metadata.uid ?? '')}/${segment('volume name', volume.name)}`;
  }
  throw unsupported(`volume ${volume.name}`, volume);
}

function leavesItsFolder(path: string): boolean {
  return path.split('/').includes('..') || path.includes('\0');
}

function unsupported(what: string, value: object): ExecPathError {
  const kind = Object.keys(value).find((key) => key !== 'name') ?? 'its kind';
  return refused(`${what}: podwire's kubelet knows emptyDir and hostPath, not ${kind}`);
}

function refused(message: string): ExecPathError {
  return new ExecPathError('ERR_MANIFEST', message, { hop: 'kubelet' });
}
