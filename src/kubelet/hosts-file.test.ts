import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Container, Pod } from '../kubeapi/index.ts';
import { type FileMount, hostsMount, podHosts } from './hosts-file.ts';
import { volumePath } from './volumes/volume-path.ts';

let volumes: string;

beforeEach(() => {
  volumes = mkdtempSync(join(tmpdir(), 'podwire-hosts-'));
});
afterEach(() => rmSync(volumes, { recursive: true, force: true }));

function podOf(spec: Partial<Pod['spec']> = {}): Pod {
  return {
    metadata: { name: 'web', namespace: 'shop', uid: 'u-1' },
    spec: { containers: [{ name: 'main' }], ...spec },
  };
}

function mountOf(pod: Pod, podIPs: readonly string[], container: Container = { name: 'main' }): Promise<unknown> {
  return hostsMount(pod, container, { folders: { logs: volumes, volumes }, podIPs });
}

const LOCAL = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
`;

// Facts: kubernetes pkg/kubelet/kubelet_pods_test.go
describe('the hosts file of a pod', () => {
  it('names the pod at each of its addresses', () => {
    expect(podHosts(podOf(), ['10.0.0.1', 'fd00::1'])).toBe(
      `# Kubernetes-managed hosts file.\n${LOCAL}10.0.0.1\tweb\nfd00::1\tweb\n`,
    );
  });

  it('names it as the cluster’s DNS does when it has a subdomain', () => {
    expect(podHosts(podOf({ hostname: 'front', subdomain: 'peers' }), ['10.0.0.1'], 'cluster.local')).toBe(
      `# Kubernetes-managed hosts file.\n${LOCAL}10.0.0.1\tfront.peers.shop.svc.cluster.local\tfront\n`,
    );
  });

  it('ends with what the pod adds, a line for each address', () => {
    const hostAliases = [{ ip: '192.0.2.1', hostnames: ['a.test', 'b.test'] }, { ip: '192.0.2.2' }];
    expect(podHosts(podOf({ hostAliases }), ['10.0.0.1'])).toBe(
      `# Kubernetes-managed hosts file.\n${LOCAL}10.0.0.1\tweb\n\n# Entries added by HostAliases.\n` +
        '192.0.2.1\ta.test\tb.test\n192.0.2.2\t\n',
    );
  });

  it('is the node’s on the node’s network, and what the pod adds', async () => {
    const hostAliases = [{ ip: '192.0.2.1', hostnames: ['a.test'] }];
    await mountOf(podOf({ hostNetwork: true, hostAliases }), []);
    expect(readFileSync(join(volumes, 'u-1/.hosts'), 'utf8')).toBe(
      `# Kubernetes-managed hosts file (host network).\n${readFileSync('/etc/hosts', 'utf8')}` +
        '\n# Entries added by HostAliases.\n192.0.2.1\ta.test\n',
    );
  });

  it('lies in the pod’s folder under a name that no volume can have, for everybody to read', async () => {
    const mount = { hostPath: join(volumes, 'u-1/.hosts'), containerPath: '/etc/hosts' };
    expect(await mountOf(podOf(), ['10.0.0.1'])).toEqual([mount] satisfies FileMount[]);
    expect(statSync(mount.hostPath).mode & 0o777).toBe(0o644);
    const folders = { logs: volumes, volumes };
    expect(() => volumePath(podOf(), { name: '.hosts', emptyDir: {} }, folders)).toThrow('cannot be a part of a path');
  });

  it('is another file when a container starts later: those that run keep theirs', async () => {
    await mountOf(podOf(), ['10.0.0.1']);
    const { ino } = statSync(join(volumes, 'u-1/.hosts'));
    await mountOf(podOf(), ['10.0.0.2']);
    expect(statSync(join(volumes, 'u-1/.hosts')).ino).not.toBe(ino);
    expect(readFileSync(join(volumes, 'u-1/.hosts'), 'utf8')).toContain('10.0.0.2\tweb\n');
    expect(readdirSync(join(volumes, 'u-1'))).toEqual(['.hosts']);
  });

  it.each(['/etc/hosts', '/etc/hosts/', '/etc/../etc/hosts'])(
    'is not for a container that mounts something at %s',
    async (mountPath) => {
      expect(await mountOf(podOf(), ['10.0.0.1'], { name: 'main', volumeMounts: [{ name: 'v', mountPath }] })).toEqual(
        [],
      );
    },
  );

  it('is not made while the pod has no address', async () => {
    expect(await mountOf(podOf(), [])).toEqual([]);
    expect(readdirSync(volumes)).toEqual([]);
  });
});
