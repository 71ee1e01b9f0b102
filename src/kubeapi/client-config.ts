import { ExecPathError, toError } from '../common/errors.ts';
import type { ExecPluginConfig } from './exec-plugin.ts';
import type { Impersonation } from './impersonation.ts';
import { inClusterConfig } from './in-cluster.ts';
import {
  type ClusterEntry,
  type Kubeconfig,
  type KubeconfigSearch,
  kubeconfigPaths,
  type Located,
  loadKubeconfig,
  type UserEntry,
} from './kubeconfig.ts';
import type { PemSource } from './pem-source.ts';

/** Whom to call and how to be believed: one context of a kubeconfig, or made by hand. */
export interface ClientConfig {
  /** http or https; its path is put in front of every request's. */
  readonly server: URL;
  /** Default `default`. */
  readonly namespace?: string;
  /** The name the server's certificate must carry, and the SNI. Default the host of `server`. */
  readonly tlsServerName?: string | undefined;
  readonly insecureSkipTlsVerify?: boolean;
  /** Default: the roots of this machine. */
  readonly certificateAuthority?: PemSource | undefined;
  readonly clientCertificate?: PemSource | undefined;
  readonly clientKey?: PemSource | undefined;
  /** http, https or socks5. Default: from the environment. */
  readonly proxyUrl?: URL | undefined;
  readonly token?: string | undefined;
  /** Beats `token`. Read again every minute. */
  readonly tokenFile?: string | undefined;
  readonly basic?: { readonly username: string; readonly password: string } | undefined;
  /** Used for what the fields above leave open. */
  readonly exec?: ExecPluginConfig | undefined;
  /** What its plugin may be told as `spec.cluster.config`. */
  readonly execConfig?: unknown;
  /** Told to plugins; podwire itself never asks for compression. */
  readonly disableCompression?: boolean;
  readonly impersonate?: Impersonation;
}

/** The flags of kubectl; each beats what the kubeconfig says. Files are relative to the working directory. */
export interface ClientOverrides {
  readonly context?: string | undefined;
  readonly cluster?: string | undefined;
  readonly user?: string | undefined;
  readonly namespace?: string | undefined;
  readonly server?: string | undefined;
  readonly tlsServerName?: string | undefined;
  readonly insecureSkipTlsVerify?: boolean | undefined;
  readonly certificateAuthority?: string | undefined;
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
  readonly token?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly proxyUrl?: string | undefined;
  readonly as?: string | undefined;
  readonly asUid?: string | undefined;
  readonly asGroups?: readonly string[] | undefined;
  readonly asUserExtra?: Readonly<Record<string, readonly string[]>> | undefined;
}

/**
 * Finds the kubeconfig and resolves it; inside a pod without any kubeconfig its service account is used.
 *
 * @throws ExecPathError ERR_KUBECONFIG saying which file, which entry, what to do
 */
export async function loadClientConfig(
  search: KubeconfigSearch & { readonly overrides?: ClientOverrides } = {},
): Promise<ClientConfig> {
  const kubeconfig = await loadKubeconfig(search);
  const overrides = search.overrides ?? {};
  if (kubeconfig.files.length === 0 && overrides.server === undefined) {
    const inCluster = await inClusterConfig(search.env ?? process.env);
    if (inCluster !== undefined) return inCluster;
    const looked = kubeconfigPaths(search).join(', ');
    throw refuse(`there is no kubeconfig (looked for ${looked}): pass --kubeconfig, set KUBECONFIG or pass --server`);
  }
  return resolveKubeconfig(kubeconfig, overrides);
}

/**
 * Picks a context, its cluster and its user, and puts the overrides on top.
 *
 * @throws ExecPathError ERR_KUBECONFIG saying which file, which entry, what to do
 * @see client-go tools/clientcmd/client_config.go
 */
export function resolveKubeconfig(kubeconfig: Kubeconfig, overrides: ClientOverrides = {}): ClientConfig {
  const contextName = overrides.context ?? kubeconfig.currentContext;
  const context = contextName === undefined ? undefined : pick(kubeconfig.contexts, contextName, 'context', kubeconfig);
  const clusterName = overrides.cluster ?? context?.entry.cluster;
  const by = overrides.cluster === undefined ? `context ${quote(contextName)} of ${context?.file} names` : undefined;
  const cluster = pickUnlessServer(kubeconfig, overrides, clusterName, by);
  const userName = overrides.user ?? context?.entry.user;
  // A context may name a user that no file defines: kubectl calls anonymously then.
  const user =
    overrides.user === undefined
      ? kubeconfig.users.get(userName ?? '')
      : pick(kubeconfig.users, overrides.user, 'user', kubeconfig);
  const transportSecurity = tlsOf(cluster?.entry, overrides);
  const proxyUrl = overrides.proxyUrl ?? cluster?.entry.proxyUrl;
  return {
    ...transportSecurity,
    ...authenticationOf(user, userName, overrides),
    server: serverUrl(overrides.server ?? cluster?.entry.server, {
      tls: transportSecurity.insecureSkipTlsVerify || transportSecurity.certificateAuthority !== undefined,
      where: overrides.server === undefined ? `${cluster?.file}: cluster ${quote(clusterName)}` : '--server',
    }),
    namespace: overrides.namespace ?? context?.entry.namespace ?? 'default',
    proxyUrl: proxyUrl === undefined ? undefined : parseProxyUrl(proxyUrl, cluster?.file ?? '--proxy-url'),
    execConfig: cluster?.entry.execConfig,
    disableCompression: cluster?.entry.disableCompression ?? false,
  };
}

function pickUnlessServer(
  kubeconfig: Kubeconfig,
  overrides: ClientOverrides,
  name: string | undefined,
  by: string | undefined,
): Located<ClusterEntry> | undefined {
  if (name !== undefined && (overrides.server === undefined || kubeconfig.clusters.has(name))) {
    return pick(kubeconfig.clusters, name, 'cluster', kubeconfig, by);
  }
  if (overrides.server !== undefined) return undefined;
  const choices = listNames(kubeconfig.contexts);
  throw refuse(
    `no context is chosen in ${kubeconfig.files.join(', ')}: set current-context or pass --context (there ${choices})`,
  );
}

function pick<T>(
  from: ReadonlyMap<string, T>,
  name: string,
  what: string,
  { files }: Kubeconfig,
  by = `there is no ${what} ${quote(name)}:`,
): T {
  const found = from.get(name);
  if (found !== undefined) return found;
  const sentence = by.endsWith('names') ? `${by} ${what} ${quote(name)}, which is not defined:` : by;
  throw refuse(`${sentence} in ${files.join(', ') || 'no file'} there ${listNames(from)}`);
}

function tlsOf(
  cluster: ClusterEntry | undefined,
  overrides: ClientOverrides,
): Required<Pick<ClientConfig, 'tlsServerName' | 'insecureSkipTlsVerify' | 'certificateAuthority'>> {
  if (overrides.insecureSkipTlsVerify === true && overrides.certificateAuthority !== undefined) {
    throw refuse('--insecure-skip-tls-verify and --certificate-authority exclude each other: remove one');
  }
  // Either flag replaces both fields of the file, or a file with a CA could never be overridden.
  const flag = overrides.insecureSkipTlsVerify !== undefined || overrides.certificateAuthority !== undefined;
  const insecure = overrides.insecureSkipTlsVerify;
  return {
    tlsServerName: overrides.tlsServerName ?? cluster?.tlsServerName,
    insecureSkipTlsVerify: flag ? insecure === true : (cluster?.insecureSkipTlsVerify ?? false),
    certificateAuthority:
      overrides.certificateAuthority !== undefined
        ? { file: overrides.certificateAuthority }
        : insecure === true
          ? undefined
          : cluster?.certificateAuthority,
  };
}

type Authentication = Pick<
  ClientConfig,
  'clientCertificate' | 'clientKey' | 'token' | 'tokenFile' | 'basic' | 'exec' | 'impersonate'
>;

function authenticationOf(
  located: Located<UserEntry> | undefined,
  name: string | undefined,
  overrides: ClientOverrides,
): Authentication {
  const user = located?.entry;
  const where = located === undefined ? 'the flags' : `${located.file}: user ${quote(name)}`;
  const username = overrides.username ?? (overrides.token === undefined ? user?.username : undefined);
  // A token or a password given by flag replaces whatever the file says about who calls.
  const keepTokens = overrides.token === undefined && overrides.username === undefined;
  const token = overrides.token ?? (keepTokens ? user?.token : undefined);
  const tokenFile = keepTokens ? user?.tokenFile : undefined;
  if (username !== undefined && (token !== undefined || tokenFile !== undefined)) {
    throw refuse(`${where}: a token and a username exclude each other: remove one`);
  }
  const impersonate = {
    user: overrides.as ?? user?.impersonate.user,
    uid: overrides.asUid ?? user?.impersonate.uid,
    groups: overrides.asGroups ?? user?.impersonate.groups,
    extra: overrides.asUserExtra ?? user?.impersonate.extra,
  };
  const { groups = [], extra = {} } = impersonate;
  if (impersonate.user === undefined && (impersonate.uid ?? groups[0] ?? Object.keys(extra)[0]) !== undefined) {
    throw refuse(`${where}: as-uid, as-groups and as-user-extra need as (the user to act as)`);
  }
  return {
    ...certificateOf(user, overrides, where),
    token,
    tokenFile,
    basic: username === undefined ? undefined : { username, password: overrides.password ?? user?.password ?? '' },
    exec: keepTokens ? user?.exec : undefined,
    impersonate,
  };
}

function certificateOf(
  user: UserEntry | undefined,
  overrides: ClientOverrides,
  where: string,
): Pick<Authentication, 'clientCertificate' | 'clientKey'> {
  const { clientCertificate: certificate, clientKey: key } = overrides;
  const pair = {
    clientCertificate: certificate === undefined ? user?.clientCertificate : { file: certificate },
    clientKey: key === undefined ? user?.clientKey : { file: key },
  };
  if ((pair.clientCertificate === undefined) !== (pair.clientKey === undefined)) {
    throw refuse(`${where}: a client certificate and its key go together: give both or none`);
  }
  return pair;
}

/** A server without a scheme is https when anything about TLS is said, else http, as in client-go. */
function serverUrl(text: string | undefined, { tls, where }: { tls: boolean; where: string }): URL {
  if (text === undefined) throw refuse(`${where} has no server: add one such as https://127.0.0.1:6443`);
  const url = parseUrl(text.includes('://') ? text : `${tls ? 'https' : 'http'}://${text}`, text, where);
  if (!['http:', 'https:'].includes(url.protocol) || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw refuse(`${where}: server ${quote(text)} is not http(s)://host[:port][/path] and no more`);
  }
  return url;
}

function parseProxyUrl(text: string, where: string): URL {
  const url = parseUrl(text, text, where);
  if (!['http:', 'https:', 'socks5:', 'socks5h:'].includes(url.protocol)) {
    throw refuse(`${where}: proxy-url ${quote(text)} is not http://, https:// or socks5://`);
  }
  return url;
}

function parseUrl(text: string, given: string, where: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw new ExecPathError('ERR_KUBECONFIG', `${where}: ${quote(given)} is not a URL`, { cause: toError(cause) });
  }
}

function listNames(map: ReadonlyMap<string, unknown>): string {
  return map.size === 0 ? 'is none' : `is ${[...map.keys()].map((name) => quote(name)).join(', ')}`;
}

function quote(text: string | undefined): string {
  return JSON.stringify(text ?? '');
}

function refuse(message: string): ExecPathError {
  return new ExecPathError('ERR_KUBECONFIG', message, { hop: 'client' });
}
