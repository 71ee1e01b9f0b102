import { describe, expect, it } from 'vitest';
import type { Container, Pod } from '../kubeapi/index.ts';
import { environmentOf, expand } from './environment.ts';

const pod: Pod = {
  metadata: { name: 'web', namespace: 'shop', uid: 'u-1', labels: { app: 'front' }, annotations: { 'a/b': 'c' } },
  spec: { nodeName: 'n1', containers: [] },
};

const addresses = { hostIP: '10.0.0.1', podIPs: ['10.1.0.5', 'fd00::5'] };

const valuesOf = (container: Partial<Container>): Record<string, string> =>
  Object.fromEntries(environmentOf(pod, { name: 'c', ...container }, addresses));

const field = (fieldPath: string): { name: string; valueFrom: object } => ({
  name: fieldPath,
  valueFrom: { fieldRef: { fieldPath } },
});

describe('the environment of a container', () => {
  it('knows what the pod says of itself', () => {
    const paths = [
      'metadata.name',
      'metadata.namespace',
      'metadata.uid',
      "metadata.labels['app']",
      "metadata.annotations['a/b']",
      "metadata.labels['none']",
      'spec.nodeName',
      'status.hostIP',
      'status.podIP',
      'status.podIPs',
    ];
    expect(Object.values(valuesOf({ env: paths.map(field) }))).toEqual([
      'web',
      'shop',
      'u-1',
      'front',
      'c',
      '',
      'n1',
      '10.0.0.1',
      '10.1.0.5',
      '10.1.0.5,fd00::5',
    ]);
  });

  it('knows what the container asks for, in units of the divisor, rounded up', () => {
    const env = [
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'requests.memory', divisor: '1Mi' } } },
    ];
    const resources = { limits: { cpu: '1500m' }, requests: { memory: '64Mi' } };
    expect(valuesOf({ env, resources })).toEqual({ CPU: '2', MEMORY: '64' });
  });

  it('replaces variables that stand before', () => {
    const env = [
      { name: 'A', value: '1' },
      { name: 'B', value: '$(A)-$(C)-$$(A)' },
      { name: 'C', value: '$(B)' },
    ];
    expect(valuesOf({ env })).toEqual({ A: '1', B: '1-$(C)-$(A)', C: '1-$(C)-$(A)' });
  });

  it.each([
    [{ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }, /not secretKeyRef/],
    [{ envFrom: [{ configMapRef: { name: 'x' } }] }, /envFrom of container c: .* not configMapRef/],
    [{ env: [field('spec.secret')] }, /not fieldRef/],
  ])('refuses %j', (container, message) => {
    expect(() => valuesOf(container)).toThrow(message);
  });
});

describe('$(NAME) in a command', () => {
  const variables = new Map([['A', '1']]);
  it.each([
    ['$(A)', '1'],
    ['x$(A)y$(A)', 'x1y1'],
    ['$$(A)', '$(A)'],
    ['$(B)', '$(B)'],
    ['$A $', '$A $'],
    ['$(A', '$(A'],
  ])('%s becomes %s', (text, expected) => {
    expect(expand(text, variables)).toBe(expected);
  });
});
