import { join } from 'node:path';
import { loadOrCreateAuthority, loadOrIssue, type StoredPair } from '../../../src/pki/index.ts';

/** What a chain needs for TLS between client, apiserver and kubelet. */
export interface ChainCertificates {
  readonly caFile: string;
  /** PEM */
  readonly ca: string;
  /** Of both servers. */
  readonly server: StoredPair;
  /** The apiserver as the kubelet's client. */
  readonly client: StoredPair;
}

/** Makes an authority and two pairs under `folder`. */
export async function chainCertificates(folder: string): Promise<ChainCertificates> {
  const { authority, certificateFile } = await loadOrCreateAuthority(join(folder, 'ca'), 'fault-chain-ca');
  const [server, client] = await Promise.all([
    loadOrIssue(folder, 'server', {
      authority,
      request: { commonName: 'server', hosts: ['127.0.0.1'], usages: ['server'] },
    }),
    loadOrIssue(folder, 'client', { authority, request: { commonName: 'apiserver', usages: ['client'] } }),
  ]);
  return { caFile: certificateFile, ca: authority.certificate, server, client };
}
