import { type CriClient, NamespaceMode } from '../cri/index.ts';
import type { Pod } from '../kubeapi/index.ts';
import { manifestError } from './manifest-error.ts';
import { allContainersOf } from './pod-containers.ts';
import { type PodFolders, podLogFolder } from './pod-folders.ts';
import { kernelHostname } from './pod-hostname.ts';
import { podLabels, STARTED_BY } from './pod-labels.ts';
import { sysctlsOf } from './pod-sysctls.ts';
import { portMappings } from './port-mappings.ts';
import type { ResolverConfig } from './resolver-config.ts';

export type SandboxConfig = NonNullable<Parameters<CriClient['runtime']['runPodSandbox']>[0]['config']>;

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

/** Whose network, processes and ipc a pod's containers share. */
export function namespaceOptions(pod: Pod): { network: NamespaceMode; pid: NamespaceMode; ipc: NamespaceMode } {
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
