import { join } from 'node:path';
import { MASTERS_GROUP } from '../identity/index.ts';
import { writeKubeconfig } from '../kubeapi/index.ts';
import { loadOrCreateAuthority, loadOrIssue, type StoredPair } from '../pki/index.ts';

/** What a hop makes for itself when nobody gives it certificates. */
export interface OwnCertificates {
  /** PEM file and text of the authority. */
  readonly caFile: string;
  readonly ca: string;
  readonly serving: StoredPair;
  /** For people: the group system:masters. */
  readonly admin: StoredPair;
  /** A further client of the group system:masters, for the hop's own calls. */
  readonly client: StoredPair;
}

/**
 * An authority of the hop's own under `folder`, with a serving certificate for `hosts` and the first clients. Made when
 * missing, renewed when due.
 *
 * @throws ExecPathError ERR_CERTIFICATE
 */
export async function ownCertificates(
  folder: string,
  { hop, hosts }: { readonly hop: 'apiserver' | 'kubelet'; readonly hosts: readonly string[] },
): Promise<OwnCertificates> {
  const { authority, certificateFile } = await loadOrCreateAuthority(join(folder, 'ca'), `podwire-${hop}-ca`);
  const masters = [MASTERS_GROUP];
  const names = [...new Set(['localhost', '127.0.0.1', '::1', ...hosts])].filter(isName);
  const [serving, admin, client] = await Promise.all([
    loadOrIssue(folder, hop, {
      authority,
      request: { commonName: `podwire-${hop}`, hosts: names, usages: ['server'] },
    }),
    loadOrIssue(folder, 'admin', {
      authority,
      request: { commonName: 'podwire-admin', organizations: masters, usages: ['client'] },
    }),
    loadOrIssue(folder, `${hop}-client`, {
      authority,
      request: { commonName: `podwire-${hop}-client`, organizations: masters, usages: ['client'] },
    }),
  ]);
  return { caFile: certificateFile, ca: authority.certificate, serving, admin, client };
}

/** A wildcard address is nothing that a client calls. */
function isName(host: string): boolean {
  return host !== '' && host !== '0.0.0.0' && host !== '::';
}

/** Writes the kubeconfig with which people call the hop. @returns its path */
export async function writeAdminKubeconfig(folder: string, server: string, own: OwnCertificates): Promise<string> {
  const path = join(folder, 'kubeconfig');
  await writeKubeconfig(path, {
    name: 'podwire',
    server,
    certificateAuthority: own.ca,
    clientCertificate: own.admin.certificate,
    clientKey: own.admin.key,
  });
  return path;
}
