import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { findBusybox } from './image.ts';

/** Where `.ci/install-peers.sh` puts what no package manager gave. */
export const peersDirectory: string = process.env['PODWIRE_PEERS'] ?? join(homedir(), '.cache', 'podwire-peers');

/** Kubernetes' minor version that `.ci/build-cluster-peers.sh` builds. */
const CLUSTER_VERSION = '1.32';

/** How each peer is found: a path, or undefined when it is missing. */
const finders = {
  kubectl: () => findKubectl(),
  'kubectl-1.20': () => existing(join(peersDirectory, 'kubectl-1.20')),
  containerd: () =>
    isRoot() && findProgram('runc') && findBusybox() && hasCni() ? findProgram('containerd') : undefined,
  crictl: () => existing(join(peersDirectory, 'crictl')) ?? findProgram('crictl'),
  // Ours alone: what passes is counted by version.
  critest: () => existing(join(peersDirectory, 'critest')),
  'critest-1.34': () => existing(join(peersDirectory, 'critest-1.34')),
  etcd: () => findProgram('etcd'),
  'kube-apiserver': () => existing(join(peersDirectory, `kube-apiserver-${CLUSTER_VERSION}`)),
  kubelet: () => existing(join(peersDirectory, `kubelet-${CLUSTER_VERSION}`)),
  haproxy: () => findProgram('haproxy'),
  sshd: () => findProgram('sshd'),
  systemd: () => (isRoot() ? existing('/lib/systemd/systemd') : undefined),
  // The CNI plugin that leads ports of the host into pods.
  portmap: () => (isRoot() && findProgram('iptables') ? existing('/usr/lib/cni/portmap') : undefined),
  tmux: () => findProgram('tmux'),
  'network-namespaces': () => (isRoot() ? findProgram('ip') : undefined),
} as const satisfies Record<string, () => string | undefined>;

/** A real program that tests run against. `containerd` stands for containerd, runc, CNI, static BusyBox and root. */
export type PeerName = keyof typeof finders;

/** Path of the peer's program, or undefined. */
export function findPeer(name: PeerName): string | undefined {
  return finders[name]();
}

/** @throws Error that says how to get the peer */
export function requirePeer(name: PeerName): string {
  const path = findPeer(name);
  if (path !== undefined) return path;
  const isBuilt = name === 'kube-apiserver' || name === 'kubelet';
  const remedy = isBuilt ? 'run .ci/build-cluster-peers.sh' : 'run .ci/install-peers.sh as root';
  throw new Error(`peer ${name} is missing: ${remedy}`);
}

const CLOUD_SDK = '/usr/lib/google-cloud-sdk/bin';

/** Versions of kubectl such as `1.32` that are at hand beside the default one, oldest first. */
export function kubectlVersions(): string[] {
  const versions = [peersDirectory, CLOUD_SDK].flatMap((directory) =>
    (existsSync(directory) ? readdirSync(directory) : []).flatMap(
      (name) => /^kubectl[.-](\d+\.\d+)$/.exec(name)?.[1] ?? [],
    ),
  );
  return [...new Set(versions)].sort((one, other) => Number(one.slice(2)) - Number(other.slice(2)));
}

/** kubectl of one minor version, or the newest at hand from 1.32 on, or the one on PATH. */
export function findKubectl(version?: string): string | undefined {
  if (version !== undefined) {
    return existing(join(peersDirectory, `kubectl-${version}`)) ?? existing(join(CLOUD_SDK, `kubectl.${version}`));
  }
  return (
    existing(join(CLOUD_SDK, 'kubectl.1.32')) ?? findProgram('kubectl') ?? existing(join(peersDirectory, 'kubectl'))
  );
}

/** Path of a program on PATH or in the folders of an administrator. */
export function findProgram(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}

function existing(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function hasCni(): boolean {
  return existsSync('/usr/lib/cni/ptp');
}
