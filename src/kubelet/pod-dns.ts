import { isIPv6 } from 'node:net';
import type { Pod } from '../kubeapi/index.ts';
import { MACHINE_RESOLVER, mergedOptions, type ResolverConfig, readResolver } from './resolver-config.ts';

/** Resolvers ask no more servers, */
const MAX_SERVERS = 3;
/** and try no more domains behind a name; */
const MAX_SEARCHES = 32;
/** nor do all of these have more characters, with the spaces between them, */
const MAX_SEARCH_CHARACTERS = 2048;
/** or one of them. */
const MAX_DOMAIN_CHARACTERS = 253;

/** What a node's kubelet is told of DNS. */
export interface DnsSettings {
  /** `--cluster-dns`: addresses. Default: none, and pods ask whom the node asks. */
  readonly clusterDns?: readonly string[];
  /** `--cluster-domain`. Default: none. */
  readonly clusterDomain?: string;
  /** `--resolv-conf`: a file; '' for one that asks the node itself. Default {@link MACHINE_RESOLVER}. */
  readonly resolvConf?: string;
}

/** Whom a pod asks for names. */
export interface PodDns {
  /** Undefined for what the runtime gives by itself: the machine's {@link MACHINE_RESOLVER}. */
  readonly config: ResolverConfig | undefined;
  /** What was left out or not as the pod wants it, as events tell it. */
  readonly warnings: readonly { readonly reason: string; readonly message: string }[];
}

/**
 * Whom a pod asks for names, by its `dnsPolicy` and `dnsConfig`.
 *
 * @param hostIP of the node
 * @throws ExecPathError ERR_MANIFEST when the node's own configuration is needed and cannot be read
 * @see kubernetes pkg/kubelet/network/dns/dns.go, GetPodDNS
 */
export async function podDns(pod: Pod, settings: DnsSettings, hostIP: string): Promise<PodDns> {
  const { dnsPolicy = 'ClusterFirst', dnsConfig, hostNetwork = false } = pod.spec;
  const { resolvConf = MACHINE_RESOLVER, clusterDns = [] } = settings;
  const wantsCluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork);
  const usesCluster = wantsCluster && clusterDns.length > 0;
  // Every pod wants the cluster's DNS unless it says otherwise: only where one says so is it worth a word.
  const isMissing = dnsPolicy === 'ClusterFirstWithHostNet' && !usesCluster;
  const missing = isMissing ? [{ reason: 'MissingClusterDNS', message: missingText(pod) }] : [];
  const isMachines = dnsPolicy !== 'None' && !usesCluster && resolvConf === MACHINE_RESOLVER;
  if (isMachines && dnsConfig === undefined) return { config: undefined, warnings: missing };
  const base =
    dnsPolicy === 'None'
      ? { servers: [], searches: [], options: [] }
      : usesCluster
        ? clusterResolver(pod, settings, await readResolver(resolvConf))
        : await nodeResolver(resolvConf, hostIP);
  const { nameservers = [], searches = [], options = [] } = dnsConfig ?? {};
  const added = options.map(({ name, value = '' }) => (value === '' ? name : `${name}:${value}`));
  const whole = {
    servers: unique([...base.servers, ...nameservers]),
    searches: unique([...base.searches, ...searches]),
    options: mergedOptions(base.options, added),
  };
  const { config, warnings } = withinLimits(whole);
  return { config, warnings: [...missing, ...warnings] };
}

/** The cluster's servers know what the node's know too; names are first looked for in the cluster. */
function clusterResolver(
  { metadata }: Pod,
  { clusterDns = [], clusterDomain = '' }: DnsSettings,
  { searches }: ResolverConfig,
): ResolverConfig {
  const { namespace = 'default' } = metadata;
  const domains = [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
  const inCluster = clusterDomain === '' ? [] : domains;
  return { servers: [...clusterDns], searches: [...inCluster, ...searches], options: ['ndots:5'] };
}

/** Without a file the node itself is asked, which as a rule knows nothing. */
async function nodeResolver(resolvConf: string, hostIP: string): Promise<ResolverConfig> {
  if (resolvConf !== '') return await readResolver(resolvConf);
  return { servers: [isIPv6(hostIP) ? '::1' : '127.0.0.1'], searches: ['.'], options: [] };
}

function withinLimits(whole: ResolverConfig): { config: ResolverConfig; warnings: PodDns['warnings'] } {
  const servers = whole.servers.slice(0, MAX_SERVERS);
  let searches = whole.searches.slice(0, MAX_SEARCHES).filter(({ length }) => length <= MAX_DOMAIN_CHARACTERS);
  while (searches.join(' ').length > MAX_SEARCH_CHARACTERS) searches = searches.slice(0, -1);
  const messages = [
    ...(servers.length < whole.servers.length
      ? [
          `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${servers.join(' ')}`,
        ]
      : []),
    ...(searches.length < whole.searches.length
      ? [
          `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${searches.join(' ')}`,
        ]
      : []),
  ];
  return {
    config: { ...whole, servers, searches },
    warnings: messages.map((message) => ({ reason: 'DNSConfigForming', message })),
  };
}

function missingText({ metadata: { name, namespace = 'default', uid = '' } }: Pod): string {
  return `pod: "${name}_${namespace}(${uid})". kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. Falling back to "Default" policy.`;
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
