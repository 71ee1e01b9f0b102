import { type CriClient, Protocol } from '../cri/index.ts';
import type { Pod } from '../kubeapi/index.ts';

type SandboxConfig = NonNullable<Parameters<CriClient['runtime']['runPodSandbox']>[0]['config']>;
type PortMappings = NonNullable<SandboxConfig['portMappings']>;

/**
 * The ports of the node that lead into a pod, once each. On the node's own network there is nothing to lead.
 *
 * @see kubernetes pkg/kubelet/container/helpers.go, MakePortMappings
 */
export function portMappings({ spec }: Pod): PortMappings {
  if (spec.hostNetwork === true) return [];
  const ports = spec.containers.flatMap((container) => container.ports ?? []);
  const mappings = ports
    .filter(({ hostPort = 0 }) => hostPort > 0)
    .map(({ containerPort, hostPort = 0, hostIP = '', protocol = 'TCP' }) => ({
      containerPort,
      hostPort,
      hostIp: hostIP,
      protocol: Protocol[protocol],
    }));
  return [...new Map(mappings.map((mapping) => [JSON.stringify(mapping), mapping])).values()];
}
