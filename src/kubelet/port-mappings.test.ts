import { describe, expect, it } from 'vitest';
import { Protocol } from '../cri/index.ts';
import type { ContainerPort, Pod } from '../kubeapi/index.ts';
import { sandboxConfig } from './sandbox-config.ts';

function mappedBy(ports: readonly ContainerPort[], spec: Partial<Pod['spec']> = {}): unknown {
  const containers = [
    { name: 'one', ports },
    { name: 'two', ports },
  ];
  const metadata = { name: 'web', namespace: 'default', uid: 'u-1' };
  return sandboxConfig({ metadata, spec: { containers, ...spec } }, 0, { logs: '/logs', volumes: '/volumes' })
    .portMappings;
}

// Facts: kubernetes pkg/kubelet/container/helpers_test.go
describe('ports of the node', () => {
  it('lead into the pod that asks for them, once each', () => {
    const ports: ContainerPort[] = [
      { containerPort: 80 },
      { containerPort: 80, hostPort: 8080 },
      { containerPort: 53, hostPort: 5353, hostIP: '192.0.2.1', protocol: 'UDP' },
    ];
    expect(mappedBy(ports)).toEqual([
      { containerPort: 80, hostPort: 8080, hostIp: '', protocol: Protocol.TCP },
      { containerPort: 53, hostPort: 5353, hostIp: '192.0.2.1', protocol: Protocol.UDP },
    ]);
  });

  it('are a pod’s own on the node’s network', () => {
    expect(mappedBy([{ containerPort: 80, hostPort: 80 }], { hostNetwork: true })).toEqual([]);
  });
});
