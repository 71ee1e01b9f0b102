import { expect, it } from 'vitest';
import { qosClassOf } from './qos-class.ts';

const amounts = (cpu: string, memory = '1Gi'): Record<string, string> => ({ cpu, memory });

it.each([
  [{}, 'BestEffort'],
  [{ requests: amounts('0', '0') }, 'BestEffort'],
  [{ requests: { 'ephemeral-storage': '1Gi' } }, 'BestEffort'],
  [{ limits: amounts('1') }, 'Guaranteed'],
  [{ limits: amounts('0.7'), requests: amounts('700m') }, 'Guaranteed'],
  [{ limits: amounts('1', '1Gi'), requests: amounts('1000m', '1024Mi') }, 'Guaranteed'],
  [{ limits: amounts('1'), requests: amounts('999m') }, 'Burstable'],
  [{ limits: amounts('0', '1Gi') }, 'Burstable'],
  [{ limits: { cpu: '1' } }, 'Burstable'],
  [{ requests: amounts('1') }, 'Burstable'],
])('a pod with %j is %s, however the amounts are written', (resources, qosClass) => {
  const container = { name: 'c', resources };
  expect(qosClassOf({ containers: [container] })).toBe(qosClass);
  expect(qosClassOf({ containers: [container], initContainers: [container] })).toBe(qosClass);
});

it('one container that is not like the others makes the pod Burstable', () => {
  const containers = [{ name: 'a', resources: { limits: amounts('1') } }, { name: 'b' }];
  expect(qosClassOf({ containers })).toBe('Burstable');
});
