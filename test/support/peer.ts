import { describe, it } from 'vitest';
import { findPeer, type PeerName, requirePeer } from './find-peer.ts';

export { findPeer, findProgram, requirePeer } from './find-peer.ts';

/** In CI these must be there; the others are skipped by name everywhere. */
const requiredInCi = [
  'kubectl',
  'containerd',
  'crictl',
  'critest',
  'critest-1.34',
  'etcd',
  'network-namespaces',
  'portmap',
  'sshd',
  'systemd',
] as const;

/**
 * A suite that needs real peers. When one is missing the suite is skipped with the peer's name in its title; with
 * CI=true a missing one of `requiredInCi` fails the run instead.
 */
export function describeWithPeer(names: PeerName | readonly PeerName[], title: string, suite: () => void): void {
  const missing = [names].flat().filter((name) => findPeer(name) === undefined);
  const isFatal = process.env['CI'] === 'true' && missing.some((name) => requiredInCi.some((must) => must === name));
  if (missing.length === 0) describe(title, suite);
  else if (isFatal) describe(title, () => it('has its peers', () => missing.forEach(requirePeer)));
  else describe.skip(`${title} (skipped: no ${missing.join(', no ')})`, suite);
}
