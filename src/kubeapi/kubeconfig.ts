import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ExecPathError, toError } from '../common/errors.ts';
import type { ExecPluginConfig } from './exec-plugin.ts';
import type { Impersonation } from './impersonation.ts';
import { parseKubeconfig } from './kubeconfig-file.ts';
import type { PemSource } from './pem-source.ts';

/** `clusters[].cluster`. Paths are absolute or relative to the working directory. */
export interface ClusterEntry {
  readonly server: string | undefined;
  readonly tlsServerName: string | undefined;
  readonly insecureSkipTlsVerify: boolean;
  readonly certificateAuthority: PemSource | undefined;
  readonly proxyUrl: string | undefined;
  readonly disableCompression: boolean;
  /** What `provideClusterInfo` hands to an exec plugin as `spec.cluster.config`. */
  readonly execConfig: unknown;
}

/** `users[].user`. */
export interface UserEntry {
  readonly clientCertificate: PemSource | undefined;
  readonly clientKey: PemSource | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly exec: ExecPluginConfig | undefined;
  readonly impersonate: Impersonation;
}

/** `contexts[].context`. */
export interface ContextEntry {
  readonly cluster: string | undefined;
  readonly user: string | undefined;
  readonly namespace: string | undefined;
}

/** A named entry and the file that defines it. */
export interface Located<T> {
  readonly file: string;
  readonly entry: T;
}

/** Several kubeconfig files merged: the first file that names a thing wins. */
export interface Kubeconfig {
  /** The files that were there, in order. */
  readonly files: readonly string[];
  readonly currentContext: string | undefined;
  readonly clusters: ReadonlyMap<string, Located<ClusterEntry>>;
  readonly users: ReadonlyMap<string, Located<UserEntry>>;
  readonly contexts: ReadonlyMap<string, Located<ContextEntry>>;
}

export interface KubeconfigSearch {
  /** `--kubeconfig`: this file and no other, and it must exist. */
  readonly kubeconfig?: string | undefined;
  /** Default `process.env`; `KUBECONFIG` is read. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default the user's home directory. */
  readonly home?: string;
}

/** The files that a search looks at, in order. */
export function kubeconfigPaths(search: KubeconfigSearch = {}): string[] {
  if (search.kubeconfig !== undefined && search.kubeconfig !== '') return [search.kubeconfig];
  const listed = ((search.env ?? process.env)['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  return listed.length > 0 ? [...new Set(listed)] : [join(search.home ?? homedir(), '.kube', 'config')];
}

/**
 * Reads and merges the kubeconfig: `--kubeconfig`; else the list in `KUBECONFIG`, missing files ignored; else
 * `~/.kube/config`. Without any file the result is empty: overrides or a service account may still do.
 *
 * @throws ExecPathError ERR_KUBECONFIG naming the file, the entry and what to do
 * @see client-go tools/clientcmd/loader.go
 */
export async function loadKubeconfig(search: KubeconfigSearch = {}): Promise<Kubeconfig> {
  const parsed: Kubeconfig[] = [];
  for (const path of kubeconfigPaths(search)) {
    const text = await readOptional(path, Boolean(search.kubeconfig));
    if (text !== undefined) parsed.push(await parseKubeconfig(text, path));
  }
  return mergeKubeconfigs(parsed);
}

async function readOptional(path: string, mustExist: boolean): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    const cause = toError(thrown) as NodeJS.ErrnoException;
    const missing = cause.code === 'ENOENT' || cause.code === 'ENOTDIR';
    if (missing && !mustExist) return undefined;
    const why = missing ? 'does not exist' : `cannot be read (${cause.code ?? cause.message})`;
    throw new ExecPathError('ERR_KUBECONFIG', `kubeconfig ${path} ${why}`, { cause });
  }
}

/** Whole entries win, never single fields of them. */
export function mergeKubeconfigs(configs: readonly Kubeconfig[]): Kubeconfig {
  const first = <T>(pick: (config: Kubeconfig) => ReadonlyMap<string, T>): Map<string, T> =>
    new Map(configs.toReversed().flatMap((config) => [...pick(config)]));
  return {
    files: configs.flatMap(({ files }) => files),
    currentContext: configs.find(({ currentContext }) => currentContext !== undefined)?.currentContext,
    clusters: first(({ clusters }) => clusters),
    users: first(({ users }) => users),
    contexts: first(({ contexts }) => contexts),
  };
}
