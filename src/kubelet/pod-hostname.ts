import type { Pod } from '../kubeapi/index.ts';
import { manifestError } from './manifest-error.ts';

/** Longest name that a machine has for itself but for its domain, in characters. */
const MAX_HOSTNAME = 63;
/** The same with the domain. */
const MAX_FQDN = 64;

/** How a pod calls itself. */
export interface PodHostname {
  readonly hostname: string;
  /** What stands behind it in the cluster's DNS; '' for a pod without a subdomain and in a cluster without a domain. */
  readonly domain: string;
}

/** @see kubernetes pkg/kubelet/kubelet_pods.go, GeneratePodHostNameAndDomain */
export function hostnameOf({ metadata, spec }: Pod, clusterDomain = ''): PodHostname {
  const { name, namespace = 'default' } = metadata;
  const { subdomain = '' } = spec;
  const whole = spec.hostname || name;
  const hostname = whole.length > MAX_HOSTNAME ? whole.slice(0, MAX_HOSTNAME).replace(/[-.]+$/, '') : whole;
  const domain = subdomain === '' || clusterDomain === '' ? '' : `${subdomain}.${namespace}.svc.${clusterDomain}`;
  return { hostname, domain };
}

/**
 * The name that the kernel has for the pod; '' for one that shares the host's.
 *
 * @throws ExecPathError ERR_MANIFEST in upstream's words for one that is too long
 */
export function kernelHostname(pod: Pod, clusterDomain = ''): string {
  if (pod.spec.hostNetwork === true) return '';
  const { hostname, domain } = hostnameOf(pod, clusterDomain);
  if (domain === '' || pod.spec.setHostnameAsFQDN !== true) return hostname;
  const fqdn = `${hostname}.${domain}`;
  if (fqdn.length <= MAX_FQDN) return fqdn;
  const message = `failed to construct FQDN from pod hostname and cluster domain, FQDN ${fqdn} is too long (${MAX_FQDN} characters is the max, ${fqdn.length} characters requested)`;
  throw manifestError(message);
}
