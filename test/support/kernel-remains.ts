import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from './child.ts';

/** What CNI plugins make in the kernel for one pod, and leave there if the pod is not taken down. */
export interface NetworkPart {
  /** The host's end of a pod's cable, `cable veth…`; `rule …` of the NAT table; `chain …` that no rule leads to. */
  readonly what: string;
  /** Of the pod; empty for a cable that no route leads through, and for a chain. */
  readonly address: string;
}

/**
 * What is there of the pods of one runtime; nothing where ip(8) or iptables(8) are missing.
 *
 * @param subnet what the addresses of the runtime's pods begin with, such as `10.101.7.`
 */
export async function networkParts(subnet: string): Promise<NetworkPart[]> {
  const ip = ['-o', '-4'];
  const [addresses, routes, nat] = await Promise.all([
    said('ip', [...ip, 'addr']),
    said('ip', [...ip, 'route']),
    said('iptables-save', ['-t', 'nat']),
  ]);
  const cables = addresses.filter((line) => line.includes(` inet ${subnet}`)).map((line) => line.split(/\s+/)[1] ?? '');
  const route = (cable: string): string | undefined => routes.find((line) => line.includes(` dev ${cable} `));
  const isLedTo = (chain: string): boolean => nat.some((line) => line.endsWith(` -j ${chain}`));
  // A rule with the whole subnet belongs to a chain of one that has an address.
  const chains = nat.flatMap((line) => (line.includes(` -d ${subnet}0/`) ? (line.split(' ')[1] ?? []) : []));
  const one = new RegExp(`${subnet.replaceAll('.', '\\.')}[1-9]\\d*`);
  return [
    ...cables.map((cable) => ({ what: `cable ${cable}`, address: route(cable)?.split(' ')[0] ?? '' })),
    ...nat
      .filter((line) => line.startsWith('-A '))
      .flatMap((line) => (one.exec(line) ?? []).map((address) => ({ what: `rule ${line}`, address }))),
    ...chains.filter((chain) => !isLedTo(chain)).map((chain) => ({ what: `chain ${chain}`, address: '' })),
  ];
}

/** Cgroups below `path` in any hierarchy of this machine: `NAME` or `NAME/NAME`, each once. */
export function cgroupsBelow(path: string): string[] {
  const roots = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => join(line.split(' ')[4] ?? '', path));
  return [...new Set(roots.flatMap((root) => foldersIn(root).flatMap((name) => [name, ...inside(root, name)])))];
}

function inside(root: string, name: string): string[] {
  return foldersIn(join(root, name)).map((child) => `${name}/${child}`);
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    // It went while we looked, or never was.
    return [];
  }
}

async function said(program: string, args: readonly string[]): Promise<string[]> {
  try {
    return (await runChild(program, args)).stdout.toString().split('\n');
  } catch {
    return [];
  }
}
