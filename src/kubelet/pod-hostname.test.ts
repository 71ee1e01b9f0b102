import { describe, expect, it } from 'vitest';
import type { Pod } from '../kubeapi/index.ts';
import { hostnameOf, kernelHostname } from './pod-hostname.ts';

function podOf(name: string, spec: Partial<Pod['spec']> = {}): Pod {
  return { metadata: { name, namespace: 'shop' }, spec: { containers: [{ name: 'main' }], ...spec } };
}

// Facts: kubernetes pkg/kubelet/kubelet_pods.go, pkg/kubelet/util/util.go
describe('the host name of a pod', () => {
  it.each([
    ['its name', podOf('web'), { hostname: 'web', domain: '' }],
    ['the one it asks for', podOf('web', { hostname: 'front' }), { hostname: 'front', domain: '' }],
    ['its name when it asks for an empty one', podOf('web', { hostname: '' }), { hostname: 'web', domain: '' }],
    [
      'in the cluster’s domain when it has a subdomain',
      podOf('web', { subdomain: 'peers' }),
      { hostname: 'web', domain: 'peers.shop.svc.cluster.local' },
    ],
    ['cut to 63 characters', podOf('w'.repeat(70)), { hostname: 'w'.repeat(63), domain: '' }],
    ['cut to where no sign ends it', podOf(`${'w'.repeat(61)}.-x`), { hostname: 'w'.repeat(61), domain: '' }],
  ])('is %s', (_what, pod, expected) => {
    expect(hostnameOf(pod, 'cluster.local')).toEqual(expected);
  });

  it('has no domain where the cluster has none', () => {
    expect(hostnameOf(podOf('web', { subdomain: 'peers' }))).toEqual({ hostname: 'web', domain: '' });
  });

  it('is the whole one for the kernel when the pod says so', () => {
    const spec = { subdomain: 'peers', setHostnameAsFQDN: true };
    expect(kernelHostname(podOf('web', spec), 'cluster.local')).toBe('web.peers.shop.svc.cluster.local');
    expect(kernelHostname(podOf('web', spec))).toBe('web');
    expect(kernelHostname(podOf('web', { ...spec, setHostnameAsFQDN: false }), 'cluster.local')).toBe('web');
    expect(kernelHostname(podOf('web', { ...spec, hostNetwork: true }), 'cluster.local')).toBe('');
    expect(() => kernelHostname(podOf('w'.repeat(40), spec), 'cluster.local')).toThrow(
      `failed to construct FQDN from pod hostname and cluster domain, FQDN ${'w'.repeat(40)}.peers.shop.svc.cluster.local is too long (64 characters is the max, 69 characters requested)`,
    );
  });
});
