import { cpus } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Loopback } from '../../test/support/loopback.ts';
import { type ObjectsApi, objectsApi } from '../../test/support/objects-api.ts';
import type { Container, Pod } from '../kubeapi/index.ts';
import { environmentOf, expand } from './environment.ts';
import { PodReferences } from './pod-references.ts';

const pod: Pod = {
  metadata: { name: 'web', namespace: 'shop', uid: 'u-1', labels: { app: 'front' }, annotations: { 'a/b': 'c' } },
  spec: { nodeName: 'n1', containers: [] },
};

const addresses = { hostIP: '10.0.0.1', podIPs: ['10.1.0.5', 'fd00::5'] };

const loopback = new Loopback();
let apiserver: ObjectsApi;

beforeEach(async () => {
  apiserver = await objectsApi(loopback);
});
afterEach(() => loopback[Symbol.asyncDispose]());

const valuesOf = async (container: Partial<Container>): Promise<Record<string, string>> => {
  const references = new PodReferences(apiserver.api.client);
  return Object.fromEntries(await environmentOf(pod, { name: 'c', ...container }, { addresses, references }));
};

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const field = (fieldPath: string): { name: string; valueFrom: object } => ({
  name: fieldPath,
  valueFrom: { fieldRef: { fieldPath } },
});

describe('the environment of a container', () => {
  it('knows what the pod says of itself', async () => {
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
    expect(Object.values(await valuesOf({ env: paths.map(field) }))).toEqual([
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

  it('knows what the container asks for, in units of the divisor, rounded up', async () => {
    const env = [
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'requests.memory', divisor: '1Mi' } } },
    ];
    const resources = { limits: { cpu: '1500m' }, requests: { memory: '64Mi' } };
    expect(await valuesOf({ env, resources })).toEqual({ CPU: '2', MEMORY: '64' });
    expect(await valuesOf({ env })).toEqual({ CPU: `${cpus().length}`, MEMORY: '0' });
  });

  it('takes keys of config maps and secrets', async () => {
    const of = (kind: string, name: string): string => `/api/v1/namespaces/shop/${kind}/${name}`;
    apiserver.objects.set(of('configmaps', 'words'), {
      metadata: { name: 'words' },
      data: { who: 'you', 'a=b': 'no' },
    });
    apiserver.objects.set(of('secrets', 'keys'), { metadata: { name: 'keys' }, data: { key: base64('hush') } });
    const envFrom = [
      { configMapRef: { name: 'words' } },
      { prefix: 'S_', secretRef: { name: 'keys' } },
      { configMapRef: { name: 'none', optional: true } },
      { secretRef: { name: 'none', optional: true } },
    ];
    const env = [
      { name: 'who', value: 'not $(who), but me' },
      { name: 'ONE', valueFrom: { configMapKeyRef: { name: 'words', key: 'who' } } },
      { name: 'TWO', valueFrom: { secretKeyRef: { name: 'keys', key: 'key' } } },
      { name: 'LEFT_OUT', valueFrom: { secretKeyRef: { name: 'keys', key: 'other', optional: true } } },
      { name: 'GONE', valueFrom: { configMapKeyRef: { name: 'none', key: 'x', optional: true } } },
    ];
    expect(await valuesOf({ env, envFrom })).toEqual({
      who: 'not you, but me',
      S_key: 'hush',
      ONE: 'you',
      TWO: 'hush',
    });
    const absent = { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'keys', key: 'other' } } }] };
    await expect(valuesOf(absent)).rejects.toThrow("couldn't find key other in Secret shop/keys");
  });

  it('replaces variables that stand before', async () => {
    const env = [
      { name: 'A', value: '1' },
      { name: 'B', value: '$(A)-$(C)-$$(A)' },
      { name: 'C', value: '$(B)' },
    ];
    expect(await valuesOf({ env })).toEqual({ A: '1', B: '1-$(C)-$(A)', C: '1-$(C)-$(A)' });
  });

  it.each([
    [{ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }, 'secrets "s" not found'],
    [{ envFrom: [{ configMapRef: { name: 'x' } }] }, 'configmaps "x" not found'],
    [{ env: [field('spec.secret')] }, 'environment variable spec.secret of container c: '],
    [{ env: [{ name: 'A', valueFrom: { fileKeyRef: {} } }] }, 'knows no such fileKeyRef'],
    [{ envFrom: [{ prefix: 'x' }] }, 'envFrom of container c: '],
  ])('refuses %j', async (container, message) => {
    await expect(valuesOf(container)).rejects.toThrow(message);
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
