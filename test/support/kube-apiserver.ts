import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { writeKubeconfig } from '../../src/kubeapi/index.ts';
import { CertificateAuthority, type CertificateRequest, type StoredPair, writePair } from '../../src/pki/index.ts';
import { BackgroundChild } from './child.ts';
import { Etcd } from './etcd.ts';
import { requirePeer } from './find-peer.ts';
import { freePort } from './free-port.ts';

/** On two busy cores it has taken 25 s. */
const BOOT_DEADLINE_MS = 120_000;

/** A user that the cluster knows by a bearer token. */
export interface TokenUser {
  readonly token: string;
  readonly name: string;
  readonly groups?: readonly string[];
}

export interface KubeApiserverOptions {
  readonly tokens?: readonly TokenUser[];
  readonly flags?: readonly string[];
}

/**
 * A real kube-apiserver on loopback before an etcd of its own: RBAC, the node authorizer and NodeRestriction in force,
 * nobody anonymous, one authority for everybody. No controllers and no scheduler run.
 *
 * Owns: both processes and a folder with their files.
 */
export class KubeApiserver implements AsyncDisposable {
  readonly folder: string;
  readonly authority: CertificateAuthority;
  /** PEM file of the authority. */
  readonly caFile: string;
  /** `https://127.0.0.1:PORT` */
  readonly server: string;
  /** What the apiserver shows to kubelets: the user kube-apiserver-kubelet-client of system:masters. */
  readonly kubeletClient: StoredPair;
  /** Of the user admin, of system:masters. */
  readonly adminKubeconfig: string;
  /** The users of {@link KubeApiserverOptions.tokens}, for servers that are to know them too. */
  readonly tokenFile: string;
  readonly #etcd: Etcd;
  readonly #child: BackgroundChild;

  private constructor(
    fields: Pick<
      KubeApiserver,
      'folder' | 'authority' | 'caFile' | 'server' | 'kubeletClient' | 'adminKubeconfig' | 'tokenFile'
    >,
    etcd: Etcd,
    child: BackgroundChild,
  ) {
    this.folder = fields.folder;
    this.authority = fields.authority;
    this.caFile = fields.caFile;
    this.server = fields.server;
    this.kubeletClient = fields.kubeletClient;
    this.adminKubeconfig = fields.adminKubeconfig;
    this.tokenFile = fields.tokenFile;
    this.#etcd = etcd;
    this.#child = child;
  }

  /** Resolves when it is ready, with the namespaces and roles that it makes itself. @throws Error with its log */
  static async start(options: KubeApiserverOptions = {}): Promise<KubeApiserver> {
    const program = requirePeer('kube-apiserver');
    const etcd = await Etcd.start();
    const folder = await mkdtemp(join(tmpdir(), 'podwire-kube-apiserver-'));
    const authority = await CertificateAuthority.create('cluster-ca');
    const pairOf = async (name: string, wanted: CertificateRequest): Promise<StoredPair> =>
      await writePair(folder, name, await authority.issue(wanted));
    const caFile = join(folder, 'ca.crt');
    await writeFile(caFile, authority.certificate);
    const masters = { organizations: ['system:masters'], usages: ['client'] } as const;
    const serving = await pairOf('serving', {
      commonName: 'kube-apiserver',
      hosts: ['127.0.0.1', 'localhost'],
      usages: ['server'],
    });
    const kubeletClient = await pairOf('kubelet-client', { commonName: 'kube-apiserver-kubelet-client', ...masters });
    const accounts = await pairOf('service-accounts', { commonName: 'service-accounts', usages: ['server'] });
    const admin = await pairOf('admin', { commonName: 'admin', ...masters });
    const tokenFile = join(folder, 'tokens.csv');
    await writeFile(tokenFile, tokenLines(options.tokens ?? []));
    const port = await freePort();
    const server = `https://127.0.0.1:${port}`;
    const child = new BackgroundChild(program, [
      `--etcd-servers=${etcd.servers.join(',')}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.0.0.0/24',
      `--tls-cert-file=${serving.certificateFile}`,
      `--tls-private-key-file=${serving.keyFile}`,
      `--client-ca-file=${caFile}`,
      `--token-auth-file=${tokenFile}`,
      '--anonymous-auth=false',
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${accounts.certificateFile}`,
      `--service-account-signing-key-file=${accounts.keyFile}`,
      `--kubelet-client-certificate=${kubeletClient.certificateFile}`,
      `--kubelet-client-key=${kubeletClient.keyFile}`,
      `--kubelet-certificate-authority=${caFile}`,
      '--kubelet-preferred-address-types=InternalIP',
      ...(options.flags ?? []),
    ]);
    const adminKubeconfig = join(folder, `admin-${port}.kubeconfig`);
    const fields = { folder, authority, caFile, server, kubeletClient, adminKubeconfig, tokenFile };
    const apiserver = new KubeApiserver(fields, etcd, child);
    try {
      await apiserver.kubeconfig('admin', { pair: admin });
      await apiserver.#untilReady(admin);
      return apiserver;
    } catch (error) {
      await apiserver[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The last MiB of its log. */
  get log(): string {
    return this.#child.log;
  }

  /** A pair of PEM files in its folder, signed by the authority. */
  async issue(name: string, wanted: CertificateRequest): Promise<StoredPair> {
    return await writePair(this.folder, name, await this.authority.issue(wanted));
  }

  /**
   * A kubeconfig for a token, a pair, or a new client certificate of the user `name` and its groups.
   *
   * @param server default its own; else one that stands before it
   * @returns its path
   */
  async kubeconfig(
    name: string,
    user: { readonly token: string } | { readonly pair: StoredPair } | { readonly groups: readonly string[] },
    server = this.server,
  ): Promise<string> {
    // A colon would end the path in KUBECONFIG.
    const file = join(this.folder, `${name.replaceAll(':', '-')}-${new URL(server).port}.kubeconfig`);
    const cluster = { name, server, certificateAuthority: this.authority.certificate };
    if ('token' in user) {
      await writeKubeconfig(file, { ...cluster, token: user.token });
      return file;
    }
    const pair =
      'pair' in user
        ? user.pair
        : await this.authority.issue({ commonName: name, organizations: user.groups, usages: ['client'] });
    await writeKubeconfig(file, { ...cluster, clientCertificate: pair.certificate, clientKey: pair.key });
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It would wait for watches to end: nothing of it is worth that.
    await this.#child.kill();
    await this.#etcd[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #untilReady(admin: StoredPair): Promise<void> {
    const deadline = Date.now() + BOOT_DEADLINE_MS;
    const paths = ['/readyz', '/api/v1/namespaces/default', '/api/v1/namespaces/kube-node-lease'];
    let last = '';
    while (Date.now() < deadline) {
      const answers = await Promise.all(paths.map((path) => this.#statusOf(path, admin)));
      if (answers.every((status) => status === '200')) return;
      last = answers.join(', ');
      const hasEnded = await Promise.race([this.#child.exited.then(() => true), delay(200).then(() => false)]);
      if (hasEnded) throw new Error(`kube-apiserver ended: ${this.log.slice(-4000)}`);
    }
    throw new Error(`kube-apiserver is not ready after ${BOOT_DEADLINE_MS} ms (${last}): ${this.log.slice(-4000)}`);
  }

  #statusOf(path: string, { certificate, key }: StoredPair): Promise<string> {
    return new Promise((resolve) => {
      const options = { ca: this.authority.certificate, cert: certificate, key, agent: false, timeout: 5000 };
      const asked = request(`${this.server}${path}`, options, (response) => {
        response.resume().on('close', () => resolve(String(response.statusCode)));
      });
      asked.on('timeout', () => asked.destroy(new Error('no answer'))).on('error', ({ message }) => resolve(message));
      asked.end();
    });
  }
}

/** The format of `--token-auth-file`: token, user, uid, groups. */
function tokenLines(users: readonly TokenUser[]): string {
  const groupsOf = ({ groups = [] }: TokenUser): string => (groups.length === 0 ? '' : `,"${groups.join(',')}"`);
  return users.map((user) => `${user.token},${user.name},${user.name}${groupsOf(user)}\n`).join('');
}
