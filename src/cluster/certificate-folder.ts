import { readdir, readFile, stat } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { ExecPathError, toError } from '../common/errors.ts';
import { loadClientConfig, writeKubeconfig } from '../kubeapi/index.ts';
import {
  type CertificateContent,
  type CertificateRequest,
  certificateContent,
  isDueForRenewal,
  loadOrCreateAuthority,
  readPair,
  type StoredAuthority,
  writeAtomically,
  writePair,
} from '../pki/index.ts';
import { certificateRequests } from './certificate-requests.ts';

/** Where kube-apiserver listens by default. */
const APISERVER_PORT = 6443;

export interface IssueOptions {
  /** Take the place of what is there. Default false. */
  readonly overwrite?: boolean;
  /** Default one year. Never beyond the authority's own end. */
  readonly validForMs?: number | undefined;
}

export interface ClientIssueOptions extends IssueOptions {
  /** The apiserver's URL for the kubeconfig. Default: the first name in the apiserver's certificate, port 6443. */
  readonly server?: string | undefined;
}

/** A certificate in the folder. */
export interface ListedCertificate {
  /** Path below the folder, without its ending: `nodes/n1/kubelet`. */
  readonly name: string;
  readonly content: CertificateContent;
  /** Two thirds of its time are over. */
  readonly isDue: boolean;
}

export interface RenewOptions {
  /** Those whose name is one of these or lies below one. Default: all that are due. */
  readonly names?: readonly string[];
  /** Those that are not due either. Default false. */
  readonly all?: boolean;
  readonly validForMs?: number | undefined;
}

/**
 * The certificates of a cluster whose hosts are machines of their own. What a host or a person needs is one folder, to
 * be copied whole:
 *
 *     ca/           ca.crt ca.key: whoever has the key can be everybody
 *     apiserver/    ca.crt apiserver.crt apiserver.key apiserver-kubelet-client.crt apiserver-kubelet-client.key
 *     nodes/NAME/   ca.crt kubelet.crt kubelet.key kubelet-client.crt kubelet-client.key kubeconfig
 *     users/NAME/   client.crt client.key kubeconfig, which stands alone
 *
 * Folders have 0700, keys and kubeconfigs 0600. All methods throw ExecPathError ERR_CERTIFICATE.
 */
export class CertificateFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * What the apiserver needs, and the authority when there is none yet.
   *
   * @param hosts what clients call it: names and addresses
   * @throws ExecPathError ERR_CERTIFICATE_EXISTS
   */
  async issueApiserver(hosts: readonly string[], options: IssueOptions = {}): Promise<string> {
    const folder = join(this.path, 'apiserver');
    await refuseExisting(folder, options);
    const stored = await loadOrCreateAuthority(this.#authorityFolder, 'podwire-ca');
    await issueInto(folder, { stored, options }, [
      ['apiserver', certificateRequests.apiserver(hosts)],
      ['apiserver-kubelet-client', certificateRequests.apiserverKubeletClient()],
    ]);
    return folder;
  }

  /**
   * What the kubelet of a node needs. Its kubeconfig names the files beside it, so that it follows them.
   *
   * @param hosts what the apiserver calls the node
   * @throws ExecPathError ERR_CERTIFICATE_EXISTS
   */
  async issueNode(name: string, hosts: readonly string[], options: ClientIssueOptions = {}): Promise<string> {
    const folder = join(this.path, 'nodes', name);
    await refuseExisting(folder, options);
    const stored = await this.#authority();
    const server = options.server ?? (await this.#server());
    await issueInto(folder, { stored, options }, [
      ['kubelet', certificateRequests.kubelet(name, hosts)],
      ['kubelet-client', certificateRequests.kubeletClient(name)],
    ]);
    await writeKubeconfig(join(folder, 'kubeconfig'), {
      name,
      server,
      certificateAuthority: { file: 'ca.crt' },
      clientCertificate: { file: 'kubelet-client.crt' },
      clientKey: { file: 'kubelet-client.key' },
    });
    return folder;
  }

  /**
   * A kubeconfig for a person, in which everything is embedded.
   *
   * @throws ExecPathError ERR_CERTIFICATE_EXISTS
   */
  async issueUser(name: string, groups: readonly string[], options: ClientIssueOptions = {}): Promise<string> {
    const folder = join(this.path, 'users', name);
    await refuseExisting(folder, options);
    const stored = await this.#authority();
    const server = options.server ?? (await this.#server());
    await issueInto(folder, { stored, options }, [['client', certificateRequests.user(name, groups)]]);
    await this.#writeUserKubeconfig(folder, server, stored);
    return folder;
  }

  /** All certificates, the authority's first. */
  async list(): Promise<ListedCertificate[]> {
    await this.#authority();
    const listed: ListedCertificate[] = [];
    for (const name of ['ca/ca', ...(await this.#pairs())]) {
      const pair = await this.#pair(name);
      if (pair === undefined) continue;
      const isDue = isDueForRenewal(pair.certificate);
      listed.push({ name, content: certificateContent(pair.certificate), isDue });
    }
    return listed;
  }

  /**
   * Issues certificates anew that say what they said before. The authority renews itself when it is due; its certificate
   * then goes into each folder.
   *
   * @returns names of the files, without their ending, that are new
   */
  async renew({ names = [], all = false, validForMs }: RenewOptions = {}): Promise<string[]> {
    const stored = await this.#authority();
    const pairs = await this.#pairs();
    const stray = names.find((name) => !pairs.some((pair) => isAtOrBelow(pair, name)));
    if (stray !== undefined) {
      throw new ExecPathError(
        'ERR_CERTIFICATE',
        `there is no certificate ${JSON.stringify(stray)} in ${this.path}: there are ${pairs.join(', ')}`,
      );
    }
    const renewed: string[] = [];
    for (const name of pairs) {
      const pair = await this.#pair(name);
      const isMeant = names.length === 0 || names.some((wanted) => isAtOrBelow(name, wanted));
      if (pair === undefined || !isMeant || !(all || names.length > 0 || isDueForRenewal(pair.certificate))) continue;
      const { commonName, organizations, hosts, usages } = certificateContent(pair.certificate);
      const folder = join(this.path, dirname(name));
      await issueInto(folder, { stored, options: { validForMs } }, [
        [basename(name), { commonName, organizations, hosts, usages }],
      ]);
      if (name.startsWith('users/')) {
        const { server } = await loadClientConfig({ kubeconfig: join(folder, 'kubeconfig') });
        await this.#writeUserKubeconfig(folder, server.href.replace(/\/$/, ''), stored);
      }
      renewed.push(name);
    }
    for (const folder of new Set(pairs.map(dirname))) {
      if (await handOut(stored, join(this.path, folder))) renewed.push(`${folder}/ca`);
    }
    return renewed;
  }

  get #authorityFolder(): string {
    return join(this.path, 'ca');
  }

  async #authority(): Promise<StoredAuthority> {
    if (!(await isThere(this.#authorityFolder))) {
      throw new ExecPathError(
        'ERR_CERTIFICATE',
        `there is no authority in ${this.path}: begin with \`podwire certs apiserver ADDRESS\`, or name its folder with --cert-dir`,
      );
    }
    return await loadOrCreateAuthority(this.#authorityFolder, 'podwire-ca');
  }

  async #server(): Promise<string> {
    const pair = await this.#pair('apiserver/apiserver');
    const [host] = pair === undefined ? [] : certificateContent(pair.certificate).hosts;
    if (host === undefined) {
      throw new ExecPathError(
        'ERR_CERTIFICATE',
        `${this.path} has no certificate of the apiserver that would tell its address: name it with --server`,
      );
    }
    return `https://${isIPv6(host) ? `[${host}]` : host}:${APISERVER_PORT}`;
  }

  async #writeUserKubeconfig(folder: string, server: string, { authority }: StoredAuthority): Promise<void> {
    const { certificate, key } = (await readPair(folder, 'client')) ?? {};
    if (certificate === undefined || key === undefined) return;
    await writeKubeconfig(join(folder, 'kubeconfig'), {
      name: basename(folder),
      server,
      certificateAuthority: authority.certificate,
      clientCertificate: certificate,
      clientKey: key,
    });
  }

  #pair(name: string): ReturnType<typeof readPair> {
    return readPair(join(this.path, dirname(name)), basename(name));
  }

  /** Names of the pairs that the authority issued. */
  async #pairs(): Promise<string[]> {
    const folders = ['apiserver'];
    for (const kind of ['nodes', 'users']) {
      folders.push(...(await namesIn(join(this.path, kind))).map((name) => join(kind, name)));
    }
    const pairs = folders.map(async (folder) =>
      (await namesIn(join(this.path, folder)))
        .filter((file) => file.endsWith('.crt') && file !== 'ca.crt')
        .map((file) => join(folder, file.slice(0, -'.crt'.length))),
    );
    return (await Promise.all(pairs)).flat();
  }
}

function isAtOrBelow(name: string, wanted: string): boolean {
  return name === wanted || name.startsWith(`${wanted.replace(/\/$/, '')}/`);
}

async function refuseExisting(folder: string, { overwrite = false }: IssueOptions): Promise<void> {
  if (overwrite || !(await isThere(folder))) return;
  throw new ExecPathError('ERR_CERTIFICATE_EXISTS', `${folder} is there already`);
}

/** Writes the pairs, and the authority's certificate beside them. */
async function issueInto(
  folder: string,
  { stored, options }: { readonly stored: StoredAuthority; readonly options: IssueOptions },
  requests: readonly (readonly [name: string, request: CertificateRequest])[],
): Promise<void> {
  const { authority } = stored;
  const { validForMs } = options;
  try {
    for (const [name, request] of requests) {
      await writePair(folder, name, await authority.issue({ ...request, ...(validForMs && { validForMs }) }));
    }
    await handOut(stored, folder);
  } catch (cause) {
    if (cause instanceof ExecPathError) throw cause;
    throw new ExecPathError('ERR_CERTIFICATE', `${folder} cannot be written: ${toError(cause).message}`, { cause });
  }
}

/** Puts the authority's certificate into `folder`. @returns whether another one or none was there */
async function handOut({ authority }: StoredAuthority, folder: string): Promise<boolean> {
  const file = join(folder, 'ca.crt');
  const there = await readFile(file, 'utf8').catch(() => '');
  if (there === authority.certificate) return false;
  await writeAtomically(file, authority.certificate, 0o644);
  return true;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (thrown) {
    const cause = toError(thrown) as NodeJS.ErrnoException;
    if (cause.code === 'ENOENT') return false;
    throw new ExecPathError('ERR_CERTIFICATE', `${path} cannot be read: ${cause.message}`, { cause });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return (await isThere(folder)) ? (await readdir(folder)).sort() : [];
}
