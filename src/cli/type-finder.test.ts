import { afterEach, expect, it } from 'vitest';
import { Loopback } from '../../test/support/loopback.ts';
import { type ObjectsApi, objectsApi } from '../../test/support/objects-api.ts';
import { pods } from '../kubeapi/index.ts';
import { TypeFinder } from './type-finder.ts';

const loopback = new Loopback();
afterEach(() => loopback.close());

const type = (resource: string, kind: string, more: object = {}): object => ({
  resource,
  responseKind: { kind },
  scope: 'Namespaced',
  singularResource: kind.toLowerCase(),
  verbs: ['get', 'list'],
  ...more,
});

const aggregated = (group: string | undefined, versions: Readonly<Record<string, readonly object[]>>): object => ({
  metadata: group === undefined ? {} : { name: group },
  versions: Object.entries(versions).map(([version, resources]) => ({ version, resources })),
});

const document = (...items: readonly object[]): object => ({ kind: 'APIGroupDiscoveryList', items });

async function cluster(): Promise<{ types: TypeFinder; asked: ObjectsApi['api']['asked'] }> {
  const { api, objects } = await objectsApi(loopback);
  const all = { categories: ['all'] };
  objects.set('/api', document(aggregated(undefined, { v1: [type('pods', 'Pod', all), type('services', 'Service')] })));
  objects.set(
    '/apis',
    document(
      aggregated('apps', { v1: [type('deployments', 'Deployment', { ...all, shortNames: ['deploy'] })] }),
      aggregated('batch', { v1: [type('jobs', 'Job', all)], v1beta1: [type('jobs', 'Job', all)] }),
      aggregated('example.com', { v2: [type('jobs', 'Job'), { resource: 'scale', scope: 'Namespaced' }] }),
    ),
  );
  return { types: new TypeFinder(api), asked: api.asked };
}

it.each([
  ['deploy', ['apps/v1 deployments']],
  ['Deployment', ['apps/v1 deployments']],
  ['deployments.apps', ['apps/v1 deployments']],
  ['deployments.app', ['apps/v1 deployments']],
  ['jobs', ['batch/v1 jobs']],
  ['job.v1beta1.batch', ['batch/v1beta1 jobs']],
  ['jobs.example.com', ['example.com/v2 jobs']],
  ['all', ['/v1 pods', 'apps/v1 deployments', 'batch/v1 jobs']],
])('%s stands for %j', async (word, found) => {
  const { types } = await cluster();
  const named = (await types.typesOf(word)).map(({ group, version, plural }) => `${group}/${version} ${plural}`);
  expect(named).toEqual(found);
});

it('asks nobody for the types that podwire knows, and once for all others', async () => {
  const { types, asked } = await cluster();
  expect(await types.typesOf('po')).toEqual([pods]);
  expect(asked).toHaveLength(0);
  expect((await types.typesOf('all'))[0]).toBe(pods);
  await types.typesOf('deploy');
  expect(asked.map(({ url }) => url.pathname).sort()).toEqual(['/api', '/apis']);
});

it('says in kubectl’s words what there is not, and what may be meant', async () => {
  const { types } = await cluster();
  await expect(types.typesOf('deploymets.v1.apps')).rejects.toThrow(
    'the server doesn\'t have a resource type "deploymets"\nDid you mean deployments?',
  );
  await expect(types.typesOf('jobs.v9.batch')).rejects.toThrow(/"jobs"$/);
  const job = { apiVersion: 'batch/v9', kind: 'Job', metadata: { name: 'x' } };
  await expect(types.typeOfObject(job, 'f')).rejects.toThrow(
    'resource mapping not found for name: "x" namespace: "" from "f": no matches for kind "Job" in version "batch/v9"\n' +
      'ensure CRDs are installed first',
  );
  expect(await types.typeOfObject({ ...job, apiVersion: 'batch/v1beta1' }, 'f')).toMatchObject({ version: 'v1beta1' });
});

it('reads the lists of a server that has not all in one document', async () => {
  const { api, objects } = await objectsApi(loopback);
  const resources = [
    { name: 'widgets', singularName: 'widget', kind: 'Widget', namespaced: true, verbs: ['list'], shortNames: ['w'] },
    { name: 'widgets/status', singularName: '', kind: 'Widget', namespaced: true, verbs: ['get'] },
  ];
  objects.set('/api', { kind: 'APIVersions', versions: ['v1'] });
  objects.set('/api/v1', { kind: 'APIResourceList', groupVersion: 'v1', resources: [] });
  const group = (name: string): object => ({ name, versions: [{ version: 'v1' }] });
  objects.set('/apis', { kind: 'APIGroupList', groups: [group('example.com'), group('broken.example.com')] });
  objects.set('/apis/example.com/v1', { kind: 'APIResourceList', resources });
  objects.set('/apis/broken.example.com/v1', 503);
  const types = new TypeFinder(api);
  expect(await types.words()).toEqual(['widgets.example.com']);
  expect(await types.typesOf('w')).toMatchObject([{ group: 'example.com', plural: 'widgets', namespaced: true }]);
});
