import { MASTERS_GROUP } from '../identity/index.ts';
import type { CertificateRequest } from '../pki/index.ts';

/** What this machine is called by itself. */
const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '::1'] as const;

const NODES_GROUP = 'system:nodes';

/** Who shows what to whom: the certificates of a cluster by their role. */
export const certificateRequests = {
  /** @param hosts what clients call the apiserver; the first is the one that kubeconfigs name */
  apiserver: (hosts: readonly string[]): CertificateRequest => ({
    commonName: 'kube-apiserver',
    hosts: distinct([...hosts, ...LOOPBACK_HOSTS, 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc']),
    usages: ['server'],
  }),
  /** The apiserver as the kubelets' client. */
  apiserverKubeletClient: (): CertificateRequest => ({
    commonName: 'kube-apiserver-kubelet-client',
    organizations: [MASTERS_GROUP],
    usages: ['client'],
  }),
  /** @param hosts what the apiserver calls the node */
  kubelet: (nodeName: string, hosts: readonly string[]): CertificateRequest => ({
    commonName: `system:node:${nodeName}`,
    organizations: [NODES_GROUP],
    hosts: distinct([...hosts, nodeName, ...LOOPBACK_HOSTS]),
    usages: ['server'],
  }),
  /** The kubelet as the apiserver's client. */
  kubeletClient: (nodeName: string): CertificateRequest => ({
    commonName: `system:node:${nodeName}`,
    organizations: [NODES_GROUP],
    usages: ['client'],
  }),
  user: (name: string, groups: readonly string[]): CertificateRequest => ({
    commonName: name,
    organizations: distinct(groups),
    usages: ['client'],
  }),
} as const;

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)];
}
