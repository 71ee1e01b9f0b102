import { expect, it } from 'vitest';
import { podStatus } from './pod-status.ts';

it('a pod that has no class yet is of the one that its amounts make', () => {
  const limits = { cpu: '1', memory: '1Gi' };
  const spec = { containers: [{ name: 'c', image: 'i', resources: { limits } }] };
  const context = { hostIP: '10.0.0.1', runtimeName: 'r', now: new Date(0) };
  const pod = { metadata: { name: 'static' }, spec };
  expect(podStatus(pod, undefined, context)).toMatchObject({ qosClass: 'Guaranteed' });
  expect(podStatus({ ...pod, status: { qosClass: 'Burstable' } }, undefined, context)).toMatchObject({
    qosClass: 'Burstable',
  });
});
