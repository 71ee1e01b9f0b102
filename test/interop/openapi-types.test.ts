import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiWorld } from '../support/api-world.ts';
import { KubeApiserver } from '../support/kube-apiserver.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';

type Json = Readonly<Record<string, unknown>>;
type Schemas = Readonly<Record<string, Json>>;

/** What only one of a kube-apiserver and podwire publishes, each with its reason. */
const exceptions: Readonly<Record<string, string>> = {
  'io.k8s.api.core.v1.NodeStatus.declaredFeatures':
    'of a later release: WebSockets pass through to kubelets that say so',
  'io.k8s.api.core.v1.Service.spec': 'there are no services: their list is empty',
  'io.k8s.api.core.v1.Service.status': 'there are no services: their list is empty',
};

/** Everything but words for people, and but the order of the fields that must be there. */
function factsOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(factsOf);
  if (typeof value !== 'object' || value === null) return value;
  const { description, required, ...facts } = value as Json;
  const more = {
    // There may be a field of this name.
    ...(typeof description === 'string' ? {} : { description }),
    ...(Array.isArray(required)
      ? { required: Object.fromEntries(required.map((name: string) => [name, true])) }
      : { required }),
  };
  return Object.fromEntries(Object.entries({ ...facts, ...more }).map(([key, one]) => [key, factsOf(one)]));
}

/** Schemas as one flat map: `TYPE.FIELD` to what it is, `TYPE` to the rest. */
function flat(schemas: Schemas): Map<string, unknown> {
  return new Map(
    Object.entries(schemas).flatMap(([type, { properties = {}, ...rest }]): [string, unknown][] => [
      [type, factsOf(rest)],
      ...Object.entries(properties as Schemas).map(([field, schema]): [string, unknown] => [
        `${type}.${field}`,
        factsOf(schema),
      ]),
    ]),
  );
}

/** Of the types that ours publishes, what is not the same; the exceptions among them. */
function differencesOf(ours: Schemas, real: Schemas): readonly string[] {
  const [left, right] = [flat(ours), flat(real)];
  const isPublished = (place: string): boolean => place in ours || place.slice(0, place.lastIndexOf('.')) in ours;
  return [...new Set([...left.keys(), ...right.keys()])].filter((place) => {
    if (!isPublished(place)) return false;
    return JSON.stringify(sorted(left.get(place))) !== JSON.stringify(sorted(right.get(place)));
  });
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).map(([key, one]): [string, unknown] => [key, sorted(one)]);
  return Object.fromEntries(entries.toSorted(([left], [right]) => (left < right ? -1 : 1)));
}

describeWithPeer(['kube-apiserver', 'etcd', 'kubectl'], 'the published types of a real kube-apiserver', () => {
  let apiserver: KubeApiserver;
  let world: ApiWorld;
  let real: Kubectl;
  let ours: Kubectl;

  beforeAll(async () => {
    apiserver = await KubeApiserver.start();
    world = await ApiWorld.start();
    const pair = await world.issue({ commonName: 'admin', organizations: ['system:masters'] });
    real = await Kubectl.create({ kubeconfig: apiserver.adminKubeconfig });
    ours = await Kubectl.create({ kubeconfig: world.kubeconfig('admin', { pair }) });
  }, 180_000);

  afterAll(async () => {
    real?.[Symbol.dispose]();
    ours?.[Symbol.dispose]();
    await world?.[Symbol.asyncDispose]();
    await apiserver?.[Symbol.asyncDispose]();
  }, 60_000);

  async function documentOf(kubectl: Kubectl, path: string): Promise<Json> {
    return JSON.parse(await kubectl.must('get', '--raw', path)) as Json;
  }

  it.each(['api/v1', 'apis/coordination.k8s.io/v1', 'apis/storage.k8s.io/v1'])('are ours in %s', async (path) => {
    const schemasOf = async (kubectl: Kubectl): Promise<Schemas> => {
      const { components } = await documentOf(kubectl, `/openapi/v3/${path}`);
      return (components as { readonly schemas: Schemas }).schemas;
    };
    const published = await schemasOf(ours);
    expect(Object.keys(published).length).toBeGreaterThan(5);
    const expected = Object.keys(exceptions).filter((place) => place.slice(0, place.lastIndexOf('.')) in published);
    expect(differencesOf(published, await schemasOf(real))).toEqual(expected);
  });

  it('are ours in OpenAPI v2', async () => {
    const schemasOf = async (kubectl: Kubectl): Promise<Schemas> => {
      return (await documentOf(kubectl, '/openapi/v2'))['definitions'] as Schemas;
    };
    expect(differencesOf(await schemasOf(ours), await schemasOf(real))).toEqual(Object.keys(exceptions));
  });

  describe('as kubectl explains them', () => {
    /** Without the words for people, those of the kind and of the field at the end, and what only ours has. */
    const withoutWords = (text: string): string =>
      text
        .replace(/^DESCRIPTION:\n[^]*?(?=^FIELDS?:)/m, '')
        .replace(/^DESCRIPTION:\n[^]*/m, '')
        .replace(/^ *declaredFeatures\b.*\n/m, '');

    it.each([
      'pod --recursive',
      'node --recursive',
      'namespace --recursive',
      'event --recursive',
      'serviceaccount --recursive',
      'lease --recursive',
      'csinode --recursive',
      'pod.spec.restartPolicy',
      'pod.spec.containers.ports.protocol',
      'pod.spec.volumes.hostPath.type',
      'pod.spec.containers.resources.limits',
      'node.spec.taints.effect',
      'pod --recursive --output=plaintext-openapiv2',
    ])('explain %s', async (line) => {
      const args = ['explain', ...line.split(' ')];
      const expected = withoutWords(await real.must(...args));
      expect(withoutWords(await ours.must(...args))).toBe(expected);
      expect(expected.length).toBeGreaterThan(20);
    });
  });
});
