import { readFileSync } from 'node:fs';
import { type Capability, grpcCodes, RuntimeCallError } from '../../cri/index.ts';

/** In the order of their numbers in Linux. */
const NAMES = (
  'chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service ' +
  'net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin ' +
  'sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override ' +
  'mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore'
).split(' ');

/** What a container has unless it says otherwise: containerd's set without `mknod`, for devices are not held by a cgroup. */
const DEFAULT =
  'chown dac_override fsetid fowner net_raw setgid setuid setfcap setpcap net_bind_service sys_chroot kill audit_write'.split(
    ' ',
  );

/** All capabilities of this kernel that we ourselves could hand on. */
function available(): string[] {
  const line = /^CapBnd:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  const bits = BigInt(`0x${line}`);
  return NAMES.filter((_name, number) => ((bits >> BigInt(number)) & 1n) === 1n);
}

/**
 * The capabilities of a container's root user, in setpriv's spelling.
 *
 * @throws RuntimeCallError InvalidArgument for a name that is no capability
 */
export function capabilitiesOf(wanted: Capability | undefined, privileged: boolean): string[] {
  const all = available();
  if (privileged) return all;
  const add = (wanted?.addCapabilities ?? []).map(plainName);
  const drop = (wanted?.dropCapabilities ?? []).map(plainName);
  const unknown = [...add, ...drop].find((name) => name !== 'all' && !NAMES.includes(name));
  if (unknown !== undefined) {
    const rule = `capability ${JSON.stringify(unknown)} is none of Linux`;
    throw new RuntimeCallError(grpcCodes.InvalidArgument, rule);
  }
  const base = add.includes('all') ? all : drop.includes('all') ? [] : DEFAULT;
  const added = [...new Set([...base, ...add.filter((name) => name !== 'all')])];
  return added.filter((name) => all.includes(name) && !drop.includes(name));
}

/** All that we could hand on and `allowed` does not have, in capsh's spelling. */
export function capabilitiesWithout(allowed: readonly string[]): string[] {
  return available()
    .filter((name) => !allowed.includes(name))
    .map((name) => `cap_${name}`);
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/^cap_/, '');
}
