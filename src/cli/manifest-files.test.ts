import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { MemoryIo } from '../../test/support/memory-io.ts';
import { nodes, pods } from '../kubeapi/index.ts';
import { readManifests } from './manifest-files.ts';

const namesIn = async (namespace: string | undefined, ...objects: readonly object[]): Promise<readonly string[]> => {
  const text = objects.map((object) => JSON.stringify({ apiVersion: 'v1', ...object })).join('\n---\n');
  const manifestsFor = await readManifests(['-'], new MemoryIo(Readable.from([text])), { namespace });
  const { objects: found, failures } = await manifestsFor({
    typeOfObject: async ({ kind }) => (kind === 'Node' ? nodes : pods),
  });
  return [...found.map(({ object }) => object.metadata.name), ...failures.map(String)];
};

const here = { kind: 'Pod', metadata: { name: 'here' } };
const shop = { kind: 'Pod', metadata: { name: 'web', namespace: 'shop' } };
const node = { kind: 'Node', metadata: { name: 'n1', namespace: 'nonsense' } };

it('takes objects of any namespace when none was named', async () => {
  expect(await namesIn(undefined, here, shop, node)).toEqual(['here', 'web', 'n1']);
  expect(await namesIn('', here, shop)).toEqual(['here', 'web']);
});

it('takes objects of the namespace that was named, and those that name none or have none', async () => {
  expect(await namesIn('shop', here, shop, node)).toEqual(['here', 'web', 'n1']);
});

it('refuses an object of another namespace than the one that was named, and takes the others', async () => {
  expect(await namesIn('default', shop, here)).toEqual([
    'here',
    'ExecPathError: the namespace from the provided object "shop" does not match the namespace "default". ' +
      "You must pass '--namespace=shop' to perform this operation.",
  ]);
});
