import type { Pod } from '../kubeapi/index.ts';
import { manifestError } from './manifest-error.ts';

/** Settings of the kernel that a pod may have for itself without touching others, by the namespace that they belong to. */
const SAFE_SYSCTLS: Readonly<Record<string, 'IPC' | 'Net'>> = {
  'kernel.shm_rmid_forced': 'IPC',
  'net.ipv4.ip_local_port_range': 'Net',
  'net.ipv4.ip_local_reserved_ports': 'Net',
  'net.ipv4.ip_unprivileged_port_start': 'Net',
  'net.ipv4.ping_group_range': 'Net',
  'net.ipv4.tcp_fin_timeout': 'Net',
  'net.ipv4.tcp_keepalive_intvl': 'Net',
  'net.ipv4.tcp_keepalive_probes': 'Net',
  'net.ipv4.tcp_keepalive_time': 'Net',
  'net.ipv4.tcp_rmem': 'Net',
  'net.ipv4.tcp_syncookies': 'Net',
  'net.ipv4.tcp_wmem': 'Net',
};

/**
 * What a pod sets of the kernel's settings, by dotted name.
 *
 * @throws ExecPathError ERR_MANIFEST, in upstream's words, for one that others would feel
 * @see kubernetes pkg/kubelet/sysctl
 */
export function sysctlsOf({ spec }: Pod): Record<string, string> {
  const shared = { IPC: spec.hostIPC === true, Net: spec.hostNetwork === true };
  const sysctls = (spec.securityContext?.sysctls ?? []).map(({ name, value }) => [dotted(name), value] as const);
  for (const [name] of sysctls) {
    const namespace = Object.hasOwn(SAFE_SYSCTLS, name) ? SAFE_SYSCTLS[name] : undefined;
    if (namespace === undefined) throw forbidden(`${JSON.stringify(name)} not allowlisted`);
    if (shared[namespace]) throw forbidden(`${JSON.stringify(name)} not allowed with host ${namespace} enabled`);
  }
  return Object.fromEntries(sysctls);
}

/** A name whose first separator is a slash has dots where others have slashes, and slashes where they have dots. */
function dotted(name: string): string {
  if (/[./]/.exec(name)?.[0] !== '/') return name;
  return name.replaceAll(/[./]/g, (separator) => (separator === '/' ? '.' : '/'));
}

function forbidden(rule: string): Error {
  return manifestError(`forbidden sysctl: ${rule}`);
}
