import { afterEach, beforeEach, expect, it } from 'vitest';
import { type AnsweringApi, answeringApi, json } from '../../test/support/answering-api.ts';
import { Loopback } from '../../test/support/loopback.ts';
import { MemoryIo } from '../../test/support/memory-io.ts';
import { type ObjectsApi, objectsApi } from '../../test/support/objects-api.ts';
import { kindWords } from './object-kinds.ts';
import { runCli } from './run-cli.ts';

const loopback = new Loopback();
afterEach(() => loopback.close());

let server: { api: AnsweringApi; readonly objects: ObjectsApi['objects'] };
beforeEach(async () => {
  server = { ...(await objectsApi(loopback)) };
});

async function offers(...words: readonly string[]): Promise<readonly string[]> {
  const io = new MemoryIo();
  const [command = '', ...rest] = words;
  const flags = ['--kubeconfig', '/dev/null', '-s', `http://127.0.0.1:${server.api.port}`];
  expect(await runCli(['__complete', ...flags, command, ...rest], io)).toBe(0);
  const lines = io.out.text.trimEnd().split('\n');
  expect(lines.at(-1)).toBe(':4');
  return lines.slice(0, -1);
}

const list = (group: string, ...names: readonly string[]): object => ({
  kind: 'APIGroupDiscoveryList',
  items: [
    {
      metadata: { name: group },
      versions: [
        {
          version: 'v1',
          resources: names.map((resource) => ({
            resource,
            responseKind: { kind: resource },
            scope: 'Namespaced',
            verbs: ['list'],
          })),
        },
      ],
    },
  ],
});

it.each(['get', 'describe', 'delete', 'wait'])('offers the types of the server to %s', async (command) => {
  server.objects.set('/api', list('', 'pods', 'secrets'));
  server.objects.set('/apis', list('apps', 'deployments'));
  expect(await offers(command, '')).toEqual(['pods', 'secrets', 'deployments.apps']);
  expect(await offers(command, 'pods,')).toEqual(['pods,secrets', 'pods,deployments.apps']);
});

it('offers the types that are known without a server when discovery is refused', async () => {
  expect(await offers('get', '')).toEqual(kindWords);
});

it('offers them too when discovery takes too long, however many calls it takes', { timeout: 20_000 }, async () => {
  // The first call is answered, the second one is not.
  server.api = await answeringApi(loopback, [json({ kind: 'APIVersions', versions: ['v1'] }), () => {}]);
  expect(await offers('get', '')).toEqual(kindWords);
});
