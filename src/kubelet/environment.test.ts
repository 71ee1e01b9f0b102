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
  for (const namespace of ['shop', 'default']) {
    apiserver.objects.set(`/api/v1/namespaces/${namespace}/services`, { metadata: {}, items: [] });
  }
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
    const exact = [
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
      { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '0' } } },
    ];
    const limits = { cpu: '1001m', memory: '9007199254740993' };
    expect(await valuesOf({ env: exact, resources: { limits } })).toEqual({ CPU: '1001', MEMORY: limits.memory });
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

  it('tells of the services of its namespace and of the apiserver, which give way to what the pod says', async () => {
    const list = (name: string, clusterIP: string): object => ({
      metadata: {},
      items: [{ metadata: { name }, spec: { clusterIP, ports: [{ port: 443 }] } }],
    });
    apiserver.objects.set('/api/v1/namespaces/shop/services', list('till', '10.0.0.7'));
    apiserver.objects.set('/api/v1/namespaces/default/services', list('kubernetes', '10.0.0.1'));
    const env = [
      { name: 'TILL_SERVICE_PORT', value: 'mine' },
      { name: 'URL', value: 'https://$(TILL_SERVICE_HOST):$(TILL_SERVICE_PORT)' },
    ];
    expect(await valuesOf({ env })).toMatchObject({
      TILL_SERVICE_HOST: '10.0.0.7',
      TILL_SERVICE_PORT: 'mine',
      URL: 'https://10.0.0.7:mine',
      KUBERNETES_SERVICE_HOST: '10.0.0.1',
      KUBERNETES_SERVICE_PORT: '443',
    });
    const references = new PodReferences(apiserver.api.client);
    const alone = { ...pod, spec: { ...pod.spec, enableServiceLinks: false } };
    const variables = await environmentOf(alone, { name: 'c' }, { addresses, references });
    expect([variables.has('TILL_SERVICE_HOST'), variables.has('KUBERNETES_SERVICE_HOST')]).toEqual([false, true]);
  });

  it('waits for the services of a pod that came from the apiserver, and for no other’s', async () => {
    const references = new PodReferences(apiserver.api.client);
    const of = (annotations: Record<string, string>): Promise<unknown> =>
      environmentOf({ ...pod, metadata: { ...pod.metadata, annotations } }, { name: 'c' }, { addresses, references });
    const path = '/api/v1/namespaces/shop/services';
    apiserver.objects.set(path, 500);
    expect(await of({ 'kubernetes.io/config.source': 'file' })).toEqual(new Map());
    await expect(of({ 'kubernetes.io/config.source': 'api' })).rejects.toThrow('trouble');
    apiserver.objects.set(path, { metadata: {}, items: [] });
    expect(await of({ 'kubernetes.io/config.source': 'api' })).toEqual(new Map());
    apiserver.objects.set(path, 500);
    expect(await of({ 'kubernetes.io/config.source': 'api' })).toEqual(new Map());
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
