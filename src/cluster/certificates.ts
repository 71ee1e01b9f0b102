import { join } from 'node:path';
import { MASTERS_GROUP } from '../identity/index.ts';
import { type CertificateRequest, loadOrCreateAuthority, loadOrIssue, type StoredPair } from '../pki/index.ts';
import { certificateRequests } from './certificate-requests.ts';

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
  const requests = certificateRequests;
  const [apiserver, apiserverKubeletClient, kubelet, kubeletClient, admin] = await Promise.all([
    issue('apiserver', requests.apiserver(hosts.apiserver)),
    issue('apiserver-kubelet-client', requests.apiserverKubeletClient()),
    issue('kubelet', requests.kubelet(hosts.nodeName, [])),
    issue('kubelet-client', requests.kubeletClient(hosts.nodeName)),
    issue('admin', requests.user('podwire-admin', [MASTERS_GROUP])),
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
