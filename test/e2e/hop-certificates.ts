import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CertificateAuthority, type CertificateRequest, type KeyPair } from '../../src/pki/index.ts';

/** The pairs that machines need, by the name of their files. */
export type PairName = 'apiserver' | 'apiserver-client' | 'kubelet' | 'kubelet-client' | 'admin';

/** What stands in each certificate; `hosts` of servers come with the network. */
export const certificateRequests = {
  apiserver: { commonName: 'kube-apiserver', usages: ['server'] },
  'apiserver-client': {
    commonName: 'kube-apiserver-kubelet-client',
    organizations: ['system:masters'],
    usages: ['client'],
  },
  kubelet: { commonName: 'system:node:node1', organizations: ['system:nodes'], usages: ['server'] },
  'kubelet-client': { commonName: 'system:node:node1', organizations: ['system:nodes'], usages: ['client'] },
  admin: { commonName: 'ada', organizations: ['system:masters'], usages: ['client'] },
} as const satisfies Record<PairName, CertificateRequest>;

const pairNames = Object.keys(certificateRequests) as PairName[];

/** The certificates of all machines in one folder, as an administrator hands them out: `ca.crt`, `NAME.crt`, `NAME.key`. */
export class HopCertificates {
  readonly folder: string;
  readonly #hosts: Readonly<Partial<Record<PairName, readonly string[]>>>;
  authority: CertificateAuthority;

  private constructor(
    folder: string,
    hosts: Readonly<Partial<Record<PairName, readonly string[]>>>,
    authority: CertificateAuthority,
  ) {
    this.folder = folder;
    this.#hosts = hosts;
    this.authority = authority;
  }

  /** @param hosts what the servers are called by their clients */
  static async create(
    folder: string,
    hosts: Readonly<Partial<Record<PairName, readonly string[]>>>,
  ): Promise<HopCertificates> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const certificates = new HopCertificates(folder, hosts, await CertificateAuthority.create('first-ca'));
    certificates.trust(certificates.authority);
    for (const name of pairNames) certificates.write(name, await certificates.issue(name));
    return certificates;
  }

  /** The file of a certificate, or of the bundle of authorities (`ca`). */
  crt(name: PairName | 'ca'): string {
    return join(this.folder, `${name}.crt`);
  }

  key(name: PairName): string {
    return join(this.folder, `${name}.key`);
  }

  /** A pair as `name` has it, by another authority or for another time if asked. */
  issue(
    name: PairName,
    { authority = this.authority, validForMs }: { authority?: CertificateAuthority; validForMs?: number } = {},
  ): Promise<KeyPair> {
    const request: CertificateRequest = certificateRequests[name];
    const hosts = this.#hosts[name];
    return authority.issue({ ...request, ...(hosts && { hosts }), ...(validForMs !== undefined && { validForMs }) });
  }

  /** Puts a pair in place of the one before, each file by rename. */
  write(name: PairName, pair: KeyPair): void {
    replace(this.key(name), pair.key);
    replace(this.crt(name), pair.certificate);
  }

  /** Everybody trusts these authorities from now on, and no other. */
  trust(...authorities: CertificateAuthority[]): void {
    replace(this.crt('ca'), authorities.map(({ certificate }) => certificate).join(''));
  }

  /** Writes a file beside the others. @returns its path */
  add(name: string, text: string): string {
    const path = join(this.folder, name);
    replace(path, text);
    return path;
  }

  /** A kubeconfig that names the files of a pair, so that it follows them. @returns its path */
  kubeconfig(name: string, server: string, pair: PairName | undefined): string {
    const user = pair && { 'client-certificate': this.crt(pair), 'client-key': this.key(pair) };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server, 'certificate-authority': this.crt('ca') } }],
      users: [{ name, user: user ?? {} }],
      contexts: [{ name, context: { cluster: name, user: name } }],
      'current-context': name,
    };
    return this.add(`${name}.kubeconfig`, JSON.stringify(config));
  }
}

function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
