import { join } from 'node:path';
import { type CertificateRequest, loadOrCreateAuthority, loadOrIssue, type StoredPair } from '../pki/index.ts';

/** What a one-node cluster needs to be mutual: one authority and a pair for each role. */
export interface ClusterCertificates {
  readonly caFile: string;
  readonly ca: string;
  readonly apiserver: StoredPair;
  /** The apiserver as the kubelet's client. */
  readonly apiserverKubeletClient: StoredPair;
  readonly kubelet: StoredPair;
  /** The kubelet as the apiserver's client. */
  readonly kubeletClient: StoredPair;
  /** For the kubeconfig that is handed to people. */
  readonly admin: StoredPair;
}

export interface CertificateHosts {
  /** What clients may call the apiserver. */
  readonly apiserver: readonly string[];
  readonly nodeName: string;
}

/** The certificates under `folder`, made when missing, made anew when they no longer fit or are about to end. */
export async function clusterCertificates(folder: string, hosts: CertificateHosts): Promise<ClusterCertificates> {
  const { authority, certificateFile } = await loadOrCreateAuthority(join(folder, 'ca'), 'podwire-ca');
  const issue = (name: string, request: CertificateRequest): Promise<StoredPair> =>
    loadOrIssue(folder, name, { authority, request });
  const loopback = ['localhost', '127.0.0.1', '::1'];
  const [apiserver, apiserverKubeletClient, kubelet, kubeletClient, admin] = await Promise.all([
    issue('apiserver', {
      commonName: 'kube-apiserver',
      hosts: [
        ...new Set([...loopback, 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc', ...hosts.apiserver]),
      ],
      usages: ['server'],
    }),
    issue('apiserver-kubelet-client', {
      commonName: 'kube-apiserver-kubelet-client',
      organizations: ['system:masters'],
      usages: ['client'],
    }),
    issue('kubelet', {
      commonName: `system:node:${hosts.nodeName}`,
      organizations: ['system:nodes'],
      hosts: [...loopback, hosts.nodeName],
      usages: ['server'],
    }),
    issue('kubelet-client', {
      commonName: `system:node:${hosts.nodeName}`,
      organizations: ['system:nodes'],
      usages: ['client'],
    }),
    issue('admin', { commonName: 'podwire-admin', organizations: ['system:masters'], usages: ['client'] }),
  ]);
  return {
    caFile: certificateFile,
    ca: authority.certificate,
    apiserver,
    apiserverKubeletClient,
    kubelet,
    kubeletClient,
    admin,
  };
}
