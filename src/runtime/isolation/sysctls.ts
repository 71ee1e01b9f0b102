import { grpcCodes, RuntimeCallError } from '../../cri/index.ts';

/** The namespaces that have settings of the kernel of their own. Those of uts are set by a pod's host name alone. */
export type SysctlNamespace = 'net' | 'ipc';

const SETTINGS: Readonly<Record<SysctlNamespace, RegExp>> = {
  net: /^net(\.[\w-]+)+$/,
  ipc: /^(kernel\.(shm\w+|msg\w+|sem|sem_next_id)|fs\.mqueue\.\w+)$/,
};
const WORDS: Readonly<Record<SysctlNamespace, string>> = { net: 'network', ipc: 'ipc' };

/** The namespace that a setting belongs to; undefined for one of the whole machine, and for what is no name of one. */
export function sysctlNamespace(name: string): SysctlNamespace | undefined {
  return (['net', 'ipc'] as const).find((kind) => SETTINGS[kind].test(name));
}

/**
 * Refuses settings that would be changed beyond the pod, for all who share a namespace with it.
 *
 * @param owns whether the pod has such a namespace of its own
 * @throws RuntimeCallError InvalidArgument
 */
export function assertSysctls(
  sysctls: Readonly<Record<string, string>>,
  owns: (kind: SysctlNamespace) => boolean,
): void {
  for (const name of Object.keys(sysctls)) {
    const kind = sysctlNamespace(name);
    if (kind !== undefined && owns(kind)) continue;
    const rule =
      kind === undefined
        ? 'belongs to no namespace of a pod: it would be changed for the whole machine'
        : `belongs to the ${WORDS[kind]} namespace, and the pod has none of its own: it would be changed for the host`;
    throw new RuntimeCallError(grpcCodes.InvalidArgument, `sysctl ${JSON.stringify(name)} ${rule}`);
  }
}
