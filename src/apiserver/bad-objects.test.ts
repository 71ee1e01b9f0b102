import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiWorld } from '../../test/support/api-world.ts';

let world: ApiWorld;

const problems: Error[] = [];

beforeAll(async () => {
  world = await ApiWorld.start({ onProblem: (problem) => problems.push(problem) });
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const good: Readonly<Record<string, object>> = {
  'namespaces/default/pods': {
    metadata: { name: 'good', labels: { a: 'b' } },
    spec: {
      containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80 }], env: [{ name: 'K', value: 'v' }] }],
      initContainers: [{ name: 'init', image: 'i', restartPolicy: 'Always' }],
      readinessGates: [{ conditionType: 'x' }],
      tolerations: [{ key: 'k' }],
      terminationGracePeriodSeconds: 3,
    },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      podIPs: [{ ip: '10.0.0.1' }],
      containerStatuses: [
        { name: 'c', ready: true, restartCount: 1, state: { waiting: { reason: 'x' } }, lastState: {} },
      ],
      initContainerStatuses: [{ name: 'init', ready: false, restartCount: 0, state: { terminated: { exitCode: 1 } } }],
    },
  },
  nodes: {
    metadata: { name: 'good', labels: { 'node-role.kubernetes.io/x': '' } },
    spec: { unschedulable: true, taints: [{ key: 'k', effect: 'NoSchedule' }] },
    status: {
      addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
      conditions: [{ type: 'Ready', status: 'True' }],
      nodeInfo: { kubeletVersion: 'v1' },
      daemonEndpoints: { kubeletEndpoint: { Port: 1 } },
    },
  },
  namespaces: { metadata: { name: 'good' }, status: { phase: 'Active' } },
  'namespaces/default/events': {
    metadata: { name: 'good' },
    involvedObject: { kind: 'Pod', name: 'x' },
    source: { component: 'k' },
    count: 1,
    lastTimestamp: '2020-01-01T00:00:00Z',
  },
  'namespaces/default/serviceaccounts': { metadata: { name: 'good' }, secrets: [{ name: 'x' }] },
};

type Path = readonly (string | number)[];

/** All places in a JSON value. */
function placesIn(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, field]) => placesIn(field, [...at, key]))];
}

/** A copy with another value at one place. */
function replaced(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value))
    return value.map((one: unknown, at) => (at === Number(key) ? replaced(one, rest, by) : one));
  const object = value as Record<string, unknown>;
  return { ...object, [key]: replaced(object[key], rest, by) };
}

const strange = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    '',
    0,
    -1,
    1.5,
    1e300,
    true,
    [],
    {},
    [null],
    [[]],
    [{}],
    { '': null },
    'x'.repeat(300),
    '\u0000',
    '../..',
    'A B',
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

describe('a generated bad object', () => {
  const cases = fc.constantFrom(...Object.keys(good)).chain((path) =>
    fc.record({
      path: fc.constant(path),
      place: fc.constantFrom(...placesIn(good[path])),
      value: strange,
      how: fc.constantFrom('POST', 'PUT', 'merge', 'strategic', 'status'),
      fieldValidation: fc.constantFrom('', 'Strict', 'Warn', 'Ignore'),
    }),
  );

  /** Upstream's word for each HTTP status that a bad object may get. */
  const reasons: Readonly<Record<number, string>> = {
    400: 'BadRequest',
    404: 'NotFound',
    405: 'MethodNotAllowed',
    409: 'AlreadyExists',
    413: 'RequestEntityTooLarge',
    415: 'UnsupportedMediaType',
    422: 'Invalid',
  };

  it('gets upstream’s kind of Status or is taken, changes nothing when it is refused, and breaks nobody', {
    timeout: 300_000,
  }, async () => {
    for (const [path, body] of Object.entries(good)) {
      expect(await world.call(`/api/v1/${path}`, { method: 'POST', body })).toMatchObject({ status: 201 });
    }
    const itemsOf = async (path: string): Promise<unknown> =>
      ((await world.call(`/api/v1/${path}`)).json as { items: unknown }).items;
    const last = new Map<string, unknown>();
    for (const path of Object.keys(good)) last.set(path, await itemsOf(path));
    const accept = { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
    await fc.assert(
      fc.asyncProperty(cases, async ({ path, place, value, how, fieldValidation }) => {
        const body = replaced(good[path], place, value);
        const type = how === 'merge' ? 'merge-patch' : 'strategic-merge-patch';
        const query = `?fieldValidation=${fieldValidation}`;
        const answer =
          how === 'POST'
            ? await world.call(`/api/v1/${path}${query}`, { method: 'POST', body })
            : how === 'PUT'
              ? await world.call(`/api/v1/${path}/good${query}`, { method: 'PUT', body })
              : await world.call(`/api/v1/${path}/good${how === 'status' ? '/status' : ''}${query}`, {
                  method: 'PATCH',
                  headers: { 'Content-Type': `application/${type}+json` },
                  body,
                });
        expect([200, 201, ...Object.keys(reasons).map(Number)]).toContain(answer.status);
        if (answer.status >= 400) {
          const reason = expect.stringMatching(
            answer.status === 409 ? /^(AlreadyExists|Conflict)$/ : (reasons[answer.status] ?? ''),
          );
          expect(answer.json).toMatchObject({ kind: 'Status', status: 'Failure', code: answer.status, reason });
          expect(await itemsOf(path)).toEqual(last.get(path));
          return;
        }
        last.set(path, await itemsOf(path));
        expect(await world.call(`/api/v1/${path}`, { headers: accept })).toMatchObject({ status: 200 });
      }),
      { numRuns: 1000 },
    );
    expect(problems).toEqual([]);
  });
});
