import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiWorld } from '../../test/support/api-world.ts';

/** What stands at a path of keys and indexes. */
function valueAt(json: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string | number, unknown> | undefined)?.[key], json);
}

let world: ApiWorld;

beforeAll(async () => {
  world = await ApiWorld.start();
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

describe('discovery', () => {
  const aggregated = (v: string): string => `application/json;g=apidiscovery.k8s.io;v=${v};as=APIGroupDiscoveryList`;

  it.each(['v2', 'v2beta1'])('comes in one document as %s', async (v) => {
    const core = await world.call('/api', { headers: { Accept: aggregated(v) } });
    expect(core.headers['content-type']).toBe(aggregated(v));
    expect(core.json).toMatchObject({
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${v}`,
      items: [{ versions: [{ version: 'v1', freshness: 'Current' }] }],
    });
    const resources = valueAt(core.json, ['items', '0', 'versions', '0', 'resources']) as { resource: string }[];
    expect(resources.find(({ resource }) => resource === 'pods')).toMatchObject({
      scope: 'Namespaced',
      singularResource: 'pod',
      shortNames: ['po'],
      categories: ['all'],
      responseKind: { group: '', version: 'v1', kind: 'Pod' },
    });
    expect(resources.find(({ resource }) => resource === 'services')).toMatchObject({ categories: ['all'] });
    const groups = await world.call('/apis', { headers: { Accept: aggregated(v) } });
    expect(groups.json).toMatchObject({
      items: ['authentication.k8s.io', 'authorization.k8s.io', 'coordination.k8s.io', 'storage.k8s.io'].map((name) => ({
        metadata: { name },
      })),
    });
  });

  it('comes piece by piece for older clients', async () => {
    expect((await world.call('/api')).json).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
    expect((await world.call('/apis')).json).toMatchObject({
      kind: 'APIGroupList',
      groups: [
        {},
        {},
        { name: 'coordination.k8s.io', preferredVersion: { groupVersion: 'coordination.k8s.io/v1' } },
        {},
      ],
    });
    expect((await world.call('/apis/coordination.k8s.io')).json).toMatchObject({ kind: 'APIGroup' });
    const { json } = await world.call('/api/v1');
    expect(json).toMatchObject({ kind: 'APIResourceList', groupVersion: 'v1' });
    const names = (valueAt(json, ['resources']) as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['pods', 'pods/exec', 'pods/status', 'nodes', 'namespaces']));
    expect(await world.call('/apis/apps/v1')).toMatchObject({ status: 404 });
  });

  it('has OpenAPI documents that leave validation to the server', async () => {
    const { json } = await world.call('/openapi/v3');
    const url = valueAt(json, ['paths', 'api/v1', 'serverRelativeURL']);
    expect(url).toMatch(/^\/openapi\/v3\/api\/v1\?hash=[0-9a-f]{32}$/);
    const document = await world.call(url as string);
    expect(valueAt(document.json, ['paths', '/api/v1/namespaces/{namespace}/pods/{name}', 'patch'])).toMatchObject({
      parameters: [
        { name: 'dryRun', in: 'query' },
        { name: 'fieldValidation', in: 'query' },
      ],
      'x-kubernetes-group-version-kind': { group: '', version: 'v1', kind: 'Pod' },
    });
    const schemas = valueAt(document.json, ['components', 'schemas']);
    expect(valueAt(schemas, ['io.k8s.api.core.v1.PodSpec', 'properties', 'restartPolicy'])).toMatchObject({
      type: 'string',
      enum: ['Always', 'Never', 'OnFailure'],
    });
    expect(valueAt(schemas, ['io.k8s.api.core.v1.Container', 'properties', 'ports'])).toMatchObject({
      items: { default: {}, allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.ContainerPort' }] },
      'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
      'x-kubernetes-patch-merge-key': 'containerPort',
    });
    expect(await world.call('/openapi/v3/api/v9')).toMatchObject({ status: 404 });
    expect(await world.call('/openapi/v2', { headers: { Accept: 'application/json' } })).toMatchObject({
      json: { swagger: '2.0', definitions: { 'io.k8s.api.core.v1.Pod': { type: 'object' } } },
    });
  });

  it('and health are there', async () => {
    for (const path of ['/healthz', '/livez', '/readyz', '/healthz/ping', '/readyz/']) {
      expect(await world.call(path)).toMatchObject({ status: 200, text: 'ok' });
    }
    expect((await world.call('/livez?verbose')).text).toBe('[+]ping ok\nlivez check passed\n');
    expect((await world.call('/version')).json).toMatchObject({ major: '1', minor: '32' });
    expect((await world.call('/')).json).toMatchObject({
      paths: expect.arrayContaining(['/api/v1', '/version']) as string[],
    });
    expect(await world.call('/healthz', { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
  });
});
