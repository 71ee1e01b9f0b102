import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { describeWithPeer } from '../support/peer.ts';
import { describeWalledClusters, shell } from './walled-cluster.ts';

// What a pod's spec says of names and ports → our apiserver → our kubelet → a runtime with walls

describeWalledClusters('names and ports of a pod', [], (cluster) => {
  /** What `script` prints in the one container of a pod. */
  async function said(name: string, script: string, spec: object, more: object = {}): Promise<string> {
    await cluster.create(name, { restartPolicy: 'Never', ...spec, containers: [shell(script, more)] });
    await cluster.untilOver(name);
    return await cluster.kubectl.must('logs', name);
  }

  const hostAliases = [{ ip: '192.0.2.1', hostnames: ['a.test', 'b.test'] }];

  it('the pod’s own at its address, and those that it adds', { timeout: 90_000 }, async () => {
    const hosts = await said('own', 'cat /etc/hosts', { hostname: 'front', hostAliases });
    const podIP = await cluster.statusOf('own', 'podIP');
    expect(hosts).toMatch(/^# Kubernetes-managed hosts file\.\n127\.0\.0\.1\tlocalhost\n/);
    expect(hosts).toContain(`\n${podIP}\tfront\n`);
    expect(hosts).toMatch(/\n\n# Entries added by HostAliases\.\n192\.0\.2\.1\ta\.test\tb\.test\n$/);
  });

  it('the node’s on its network; and a container may change its file, not the node’s', {
    timeout: 90_000,
  }, async () => {
    const before = readFileSync('/etc/hosts', 'utf8');
    const script = 'cat /etc/hosts; echo 192.0.2.9 mine >>/etc/hosts; tail -n 1 /etc/hosts';
    expect(await said('shared', script, { hostNetwork: true, hostAliases })).toBe(
      `# Kubernetes-managed hosts file (host network).\n${before}` +
        '\n# Entries added by HostAliases.\n192.0.2.1\ta.test\tb.test\n192.0.2.9 mine\n',
    );
    expect(readFileSync('/etc/hosts', 'utf8')).toBe(before);
  });

  it('from whom the pod asks for them', { timeout: 90_000 }, async () => {
    const dnsConfig = {
      nameservers: ['192.0.2.53'],
      searches: ['a.test', 'b.test'],
      options: [{ name: 'ndots', value: '3' }, { name: 'edns0' }],
    };
    const asked = await said('asking', 'cat /etc/resolv.conf', { dnsPolicy: 'None', dnsConfig });
    expect(asked.trim().split('\n').sort()).toEqual([
      'nameserver 192.0.2.53',
      'options ndots:3 edns0',
      'search a.test b.test',
    ]);
    const added = await said('adding', 'cat /etc/resolv.conf', { hostNetwork: true, dnsConfig });
    expect(added).toContain('edns0');
    const ofNode = readFileSync('/etc/resolv.conf', 'utf8').match(/^nameserver \S+/m)?.[0] ?? '';
    expect(added).toContain(ofNode);
  });

  it('from those whom the node asks when it says nothing', { timeout: 90_000 }, async () => {
    expect(await said('plain', 'cat /etc/resolv.conf', {})).toBe(readFileSync('/etc/resolv.conf', 'utf8'));
  });

  it('what a volume brings there instead', { timeout: 90_000 }, async () => {
    const mine = { name: 'file', hostPath: { path: '/etc/hostname', type: 'File' } };
    const volumeMounts = [{ name: 'file', mountPath: '/etc/hosts' }];
    const spec = { hostNetwork: true, hostAliases, volumes: [mine] };
    expect(await said('brought', 'cat /etc/hosts', spec, { volumeMounts })).toBe(readFileSync('/etc/hostname', 'utf8'));
  });

  const ports = 'ports of the node lead into it';
  if (cluster.runtime === 'containerd')
    it.skip(`${ports} (the network that tests give containerd maps none)`, () => {});
  else {
    describeWithPeer('portmap', 'with portmap', () => {
      it(ports, { timeout: 90_000 }, async () => {
        const hostPort = await freePort();
        const script = 'cd /tmp && echo inside >index.html && exec httpd -f -p 8080';
        const mapped = [{ containerPort: 8080, hostPort }];
        await cluster.create('served', {
          terminationGracePeriodSeconds: 0,
          containers: [shell(script, { ports: mapped })],
        });
        const answer = (): Promise<string> =>
          fetch(`http://127.0.0.1:${hostPort}/`).then(
            (found) => found.text(),
            (thrown: Error) => thrown.message,
          );
        await expect.poll(answer, { timeout: 60_000, interval: 500 }).toBe('inside\n');
        await cluster.kubectl.must('delete', 'pod', 'served', '--timeout=30s');
        await expect.poll(answer, { timeout: 30_000, interval: 500 }).toBe('fetch failed');
      });
    });
  }
});
