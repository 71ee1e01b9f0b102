import { describe, expect, it } from 'vitest';
import type { Container, Pod } from '../kubeapi/index.ts';
import { containerResources } from './container-resources.ts';

const GIB = 2 ** 30;

function resourcesOf(resources: Container['resources'], spec: Partial<Pod['spec']> = {}): unknown {
  const container = { name: 'main', image: 'x', ...(resources === undefined ? {} : { resources }) };
  const pod = { metadata: { name: 'web' }, spec: { containers: [container], ...spec } };
  return containerResources(pod, container, 10 * GIB);
}

// Facts: kubernetes pkg/kubelet/cm/helpers_linux.go, pkg/kubelet/qos/policy.go
describe('the resources of a container', () => {
  it('are the least weight and the first place in line when nothing is asked for', () => {
    expect(resourcesOf(undefined)).toEqual({ cpuShares: 2n, oomScoreAdj: 1000n, hugepageLimits: [] });
  });

  it.each([
    ['1', 1024n],
    ['500m', 512n],
    ['0.57', 583n],
    ['1m', 2n],
    ['0', 2n],
    ['1000', 262_144n],
    ['9E', 262_144n],
  ])('weigh a request of %s cpu as %d shares', (cpu, cpuShares) => {
    expect(resourcesOf({ requests: { cpu } })).toMatchObject({ cpuShares });
  });

  it('weigh by the request where there is one, else by the limit', () => {
    expect(resourcesOf({ limits: { cpu: '2' } })).toMatchObject({ cpuShares: 2048n });
    expect(resourcesOf({ limits: { cpu: '2' }, requests: { cpu: '1' } })).toMatchObject({ cpuShares: 1024n });
    expect(resourcesOf({ limits: { cpu: '2' }, requests: { cpu: '0' } })).toMatchObject({ cpuShares: 2n });
  });

  it.each([
    ['1', 100_000n],
    ['250m', 25_000n],
    ['1m', 1000n],
    ['2.5', 250_000n],
  ])('give %s cpu a quota of %d µs', (cpu, cpuQuota) => {
    expect(resourcesOf({ limits: { cpu } })).toMatchObject({ cpuQuota, cpuPeriod: 100_000n });
  });

  it('hold memory and huge pages to their limits', () => {
    const limits = { memory: '64Mi', 'hugepages-2Mi': '4Mi', 'hugepages-1Gi': '1Gi' };
    expect(resourcesOf({ limits })).toMatchObject({
      memoryLimitInBytes: 67_108_864n,
      hugepageLimits: [
        { pageSize: '2MB', limit: 4_194_304n },
        { pageSize: '1GB', limit: 1_073_741_824n },
      ],
    });
    expect(resourcesOf({ limits: { memory: '99E' } })).toMatchObject({ memoryLimitInBytes: 2n ** 63n - 1n });
  });

  const guaranteed = { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '1000m', memory: '1024Mi' } };
  const main = { name: 'main', image: 'x' };

  it.each<[string, bigint, Container['resources'], Partial<Pod['spec']>]>([
    ['Guaranteed', -997n, guaranteed, {}],
    ['Burstable with a tenth of the memory', 900n, { requests: { memory: '1Gi' } }, {}],
    ['Burstable with all of it', 3n, { requests: { memory: '10Gi' } }, {}],
    ['Burstable with nothing of it', 999n, { requests: { cpu: '1' } }, {}],
    ['beside one that asks for nothing', 900n, guaranteed, { containers: [{ ...main, resources: guaranteed }, main] }],
    ['without which the node does not work', -997n, undefined, { priority: 2_000_001_000 }],
  ])('put a container %s in line by %d', (_, oomScoreAdj, resources, spec) => {
    expect(resourcesOf(resources, spec)).toMatchObject({ oomScoreAdj });
  });

  it('put a sidecar no earlier in line than those that it is there for', () => {
    const sidecar = { name: 'proxy', image: 'x', restartPolicy: 'Always' };
    const containers = [{ ...main, resources: { requests: { memory: '5Gi' } } }];
    const pod = { metadata: { name: 'web' }, spec: { containers, initContainers: [sidecar] } };
    expect(containerResources(pod, sidecar, 10 * GIB)).toMatchObject({ oomScoreAdj: 500n });
  });
});
