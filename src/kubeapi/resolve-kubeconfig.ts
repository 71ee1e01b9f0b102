import { ExecPathError } from '../common/errors.ts';
import type { ClientConfig, ClientOverrides } from './client-config.ts';
import { inClusterKubeconfig } from './in-cluster.ts';
import {
  type ClusterEntry,
  type Kubeconfig,
  type KubeconfigSearch,
  kubeconfigPaths,
  type Located,
  loadKubeconfig,
} from './kubeconfig.ts';
import { authenticationOf } from './kubeconfig-user.ts';
import { parseProxyUrl, parseServerUrl } from './server-url.ts';

/**
 * Finds the kubeconfig and resolves it; inside a pod without any kubeconfig its service account is used.
 *
 * @throws ExecPathError ERR_KUBECONFIG saying which file, which entry, what to do
 */
export async function loadClientConfig(
  search: KubeconfigSearch & { readonly overrides?: ClientOverrides } = {},
): Promise<ClientConfig> {
  const kubeconfig = await loadKubeconfig(search);
  const { overrides = {} } = search;
  if (kubeconfig.files.length > 0 || overrides.server !== undefined) return resolveKubeconfig(kubeconfig, overrides);
  const inCluster = await inClusterKubeconfig(search.env ?? process.env);
  if (inCluster !== undefined) return resolveKubeconfig(inCluster, overrides);
  const looked = kubeconfigPaths(search).join(', ');
  throw refuse(`there is no kubeconfig (looked for ${looked}): pass --kubeconfig, set KUBECONFIG or pass --server`);
}

/**
 * Picks a context, its cluster and its user, and puts the overrides on top.
 *
 * @throws ExecPathError ERR_KUBECONFIG saying which file, which entry, what to do
 * @see client-go tools/clientcmd/client_config.go
 */
export function resolveKubeconfig(kubeconfig: Kubeconfig, overrides: ClientOverrides = {}): ClientConfig {
  const { contexts, users, files } = kubeconfig;
  const contextName = overrides.context ?? kubeconfig.currentContext;
  const context = contextName === undefined ? undefined : pick(contexts, contextName, { what: 'context', files });
  const cluster = clusterOf(kubeconfig, overrides, context && { name: contextName ?? '', ...context });
  const userName = overrides.user ?? context?.entry.user;
  // A context may name a user that no file defines: kubectl calls anonymously then.
  const user =
    overrides.user === undefined ? users.get(userName ?? '') : pick(users, overrides.user, { what: 'user', files });
  const security = tlsOf(cluster?.entry, overrides);
  const authentication = authenticationOf(user, userName, overrides);
  const proxyUrl = overrides.proxyUrl ?? cluster?.entry.proxyUrl;
  const where = cluster === undefined ? 'the flags' : `${cluster.file}: cluster ${quote(cluster.name)}`;
  return {
    ...security,
    ...authentication,
    server: parseServerUrl(overrides.server ?? cluster?.entry.server, {
      isSecure:
        [security.certificateAuthority, authentication.clientCertificate].some((pem) => pem !== undefined) ||
        security.insecureSkipTlsVerify,
      where: overrides.server === undefined ? where : '--server',
    }),
    namespace: overrides.namespace ?? context?.entry.namespace ?? 'default',
    proxyUrl:
      proxyUrl === undefined
        ? undefined
        : parseProxyUrl(proxyUrl, overrides.proxyUrl === undefined ? where : '--proxy-url'),
    execConfig: cluster?.entry.execConfig,
    disableCompression: cluster?.entry.disableCompression ?? false,
  };
}

type Named<T> = Located<T> & { readonly name: string };

/** undefined only when a flag names the server itself. */
function clusterOf(
  kubeconfig: Kubeconfig,
  overrides: ClientOverrides,
  context: Named<{ readonly cluster: string | undefined }> | undefined,
): Named<ClusterEntry> | undefined {
  const name = overrides.cluster ?? context?.entry.cluster;
  const found = name === undefined ? undefined : kubeconfig.clusters.get(name);
  if (name !== undefined && found !== undefined) return { name, ...found };
  if (overrides.server !== undefined) return undefined;
  const files = kubeconfig.files.join(', ');
  if (context === undefined && name === undefined) {
    const choices = listNames(kubeconfig.contexts);
    throw refuse(`no context is chosen in ${files}: set current-context or pass --context (there ${choices})`);
  }
  if (name === undefined) throw refuse(`${context?.file}: context ${quote(context?.name ?? '')} names no cluster`);
  if (overrides.cluster !== undefined)
    return { name, ...pick(kubeconfig.clusters, name, { what: 'cluster', files: kubeconfig.files }) };
  const there = `in ${files} there ${listNames(kubeconfig.clusters)}`;
  throw refuse(
    `context ${quote(context?.name ?? '')} of ${context?.file} names cluster ${quote(name)}, which is not defined: ${there}`,
  );
}

/** What somebody named must be there. */
function pick<T>(
  from: ReadonlyMap<string, T>,
  name: string,
  { what, files }: { what: string; files: readonly string[] },
): T {
  const found = from.get(name);
  if (found !== undefined) return found;
  const where = files.length === 0 ? 'no file' : files.join(', ');
  throw refuse(`there is no ${what} ${quote(name)}: in ${where} there ${listNames(from)}`);
}

/** How the server is verified. Either flag replaces both fields of the file, or its CA could not be overridden. */
function tlsOf(
  cluster: ClusterEntry | undefined,
  overrides: ClientOverrides,
): Required<Pick<ClientConfig, 'tlsServerName' | 'insecureSkipTlsVerify' | 'certificateAuthority'>> {
  if (overrides.insecureSkipTlsVerify === true && overrides.certificateAuthority !== undefined) {
    throw refuse('--insecure-skip-tls-verify and --certificate-authority exclude each other: remove one');
  }
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

function listNames(map: ReadonlyMap<string, unknown>): string {
  return map.size === 0 ? 'is none' : `is ${[...map.keys()].map((name) => quote(name)).join(', ')}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function refuse(message: string): ExecPathError {
  return new ExecPathError('ERR_KUBECONFIG', message, { hop: 'client' });
}
