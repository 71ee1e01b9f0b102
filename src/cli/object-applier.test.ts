import { afterEach, expect, it } from 'vitest';
import { type Answer, answeringApi, json } from '../../test/support/answering-api.ts';
import { Loopback } from '../../test/support/loopback.ts';
import { configMaps, type KubeObject, pods, type ResourceType } from '../kubeapi/index.ts';
import { withLastApplied } from './last-applied.ts';
import { ObjectApplier } from './object-applier.ts';

const loopback = new Loopback();
afterEach(() => loopback.close());

type Manifest = KubeObject & { readonly kind: string; readonly apiVersion: string };

const pod = (image: string): Manifest =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default' },
    spec: { containers: [{ name: 'c', image }] },
  }) as Manifest;

const openApi = {
  components: {
    schemas: {
      Pod: {
        properties: { spec: { allOf: [{ $ref: '#/components/schemas/PodSpec' }] } },
        'x-kubernetes-group-version-kind': [{ group: '', version: 'v1', kind: 'Pod' }],
      },
      PodSpec: {
        properties: {
          containers: { 'x-kubernetes-patch-strategy': 'merge', 'x-kubernetes-patch-merge-key': 'name', type: 'array' },
        },
      },
    },
  },
};

const refusal = (code: number, reason: string): Answer =>
  json({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code, message: reason }, code);

interface Told {
  readonly outcome: string;
  /** The requests, each with the kind of its patch and the patch. */
  readonly asked: readonly string[];
  readonly warnings: readonly string[];
}

/** Applies `object` where `before` is, and tells what was asked. `patches` answer the first PATCHes, then they succeed. */
async function apply(
  object: Manifest,
  before: KubeObject,
  { patches = [], document = json(openApi) }: { readonly patches?: readonly Answer[]; readonly document?: Answer } = {},
): Promise<Told> {
  const left = [...patches];
  const { client, asked } = await answeringApi(loopback, [
    (ask, answer) => {
      if (ask.url.pathname.startsWith('/openapi/')) return document(ask, answer);
      const answered = ask.method === 'PATCH' ? left.shift() : undefined;
      return (answered ?? json(before))(ask, answer);
    },
  ]);
  const warnings: string[] = [];
  const call = { client, namespace: 'default', signal: new AbortController().signal };
  const applier = new ObjectApplier(call, {
    dryRun: 'none',
    fieldValidation: 'Strict',
    onWarning: (text) => warnings.push(text),
  });
  const type = (object.kind === 'Pod' ? pods : configMaps) as ResourceType<KubeObject>;
  const { outcome } = await applier.apply({ type, object, source: 'web.json' });
  const shown = asked.map(({ method, url, headers, body }) => {
    if (method !== 'PATCH') return `${method} ${url.pathname}`;
    const { spec } = JSON.parse(body) as { spec?: unknown };
    return `${headers['content-type']?.replace('application/', '')} ${JSON.stringify(spec)}`;
  });
  return { outcome, asked: shown, warnings };
}

const GET = 'GET /api/v1/namespaces/default/pods/web';
const DESCRIBE = 'GET /openapi/v3/api/v1';
const STRATEGIC =
  'strategic-merge-patch+json {"containers":[{"image":"2","name":"c"}],"$setElementOrder/containers":[{"name":"c"}]}';
const MERGE = 'merge-patch+json {"containers":[{"name":"c","image":"2"}]}';

it('asks how lists are merged, and sends what differs', async () => {
  const { outcome, asked, warnings } = await apply(pod('2'), withLastApplied(pod('1')));
  expect(outcome).toBe('configured');
  expect(asked).toEqual([GET, DESCRIBE, STRATEGIC]);
  expect(warnings).toEqual([]);
});

it('sends nothing when nothing differs', async () => {
  const { outcome, asked } = await apply(pod('1'), withLastApplied(pod('1')));
  expect(outcome).toBe('unchanged');
  expect(asked).toEqual([GET]);
});

it('does not ask how lists are merged of an object without any', async () => {
  const map = (data: object): Manifest => ({ ...pod('1'), kind: 'ConfigMap', spec: undefined, data }) as Manifest;
  const { asked } = await apply(map({ a: '1' }), withLastApplied(map({ b: '1' })));
  expect(asked).toEqual(['GET /api/v1/namespaces/default/configmaps/web', 'merge-patch+json undefined']);
});

it('replaces lists where the server does not describe itself', async () => {
  const document = refusal(404, 'NotFound');
  const { asked } = await apply(pod('2'), withLastApplied(pod('1')), { document });
  expect(asked).toEqual([GET, DESCRIBE, MERGE]);
});

it('replaces lists where a strategic merge patch is not taken', async () => {
  const patches = [refusal(415, 'UnsupportedMediaType')];
  const { outcome, asked } = await apply(pod('2'), withLastApplied(pod('1')), { patches });
  expect(outcome).toBe('configured');
  expect(asked).toEqual([GET, DESCRIBE, STRATEGIC, MERGE]);
});

it('looks again when somebody else was faster', async () => {
  const patches = [refusal(409, 'Conflict')];
  const { outcome, asked } = await apply(pod('2'), withLastApplied(pod('1')), { patches });
  expect(outcome).toBe('configured');
  expect(asked).toEqual([GET, DESCRIBE, STRATEGIC, GET, STRATEGIC]);
});

it('warns of an object that nobody applied, and of one that is going', async () => {
  const { metadata, ...rest } = pod('1');
  const going = { ...rest, metadata: { ...metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } } as KubeObject;
  const { warnings } = await apply(pod('1'), going);
  expect(warnings).toEqual([
    expect.stringMatching(/^resource pods\/web is missing the kubectl.kubernetes.io\/last-applied-configuration annot/),
    'Detected changes to resource web which is currently being deleted.',
  ]);
});
