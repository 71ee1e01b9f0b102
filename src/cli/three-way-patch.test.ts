import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import { type FieldMerge, hasList, type MergeSchema, threeWayPatch } from './three-way-patch.ts';

/** A schema of the fields that are not merged as a JSON merge patch merges them. */
const schemaOf =
  (fields: Readonly<Record<string, Partial<FieldMerge>>>): MergeSchema =>
  (field) => {
    const merge = Object.hasOwn(fields, field) ? fields[field] : undefined;
    return merge === undefined ? undefined : { retainsKeys: false, ...merge };
  };

const item = schemaOf({
  env: { strategy: 'merge', mergeKey: 'name', inner: schemaOf({}) },
});
const schema = schemaOf({
  finalizers: { strategy: 'merge' },
  containers: { strategy: 'merge', mergeKey: 'name', inner: item },
  volumes: { strategy: 'merge', mergeKey: 'name', retainsKeys: true, inner: schemaOf({}) },
  ports: { strategy: 'merge', mergeKey: 'port', inner: schemaOf({}) },
  selector: { strategy: 'replace' },
  update: { retainsKeys: true, inner: schemaOf({}) },
});

describe('a patch of fields and maps', () => {
  it.each<[string, JsonObject, JsonObject, JsonObject, JsonObject]>([
    ['is empty when all is as it should be', { a: 1 }, { a: 1 }, { a: 1, b: 2 }, {}],
    ['sets what is new', {}, { a: 1 }, {}, { a: 1 }],
    ['sets what changed in the manifest', { a: 1 }, { a: 2 }, { a: 1 }, { a: 2 }],
    ['sets back what somebody else changed', { a: 1 }, { a: 1 }, { a: 2 }, { a: 1 }],
    ['removes what left the manifest', { a: 1, b: 2 }, { a: 1 }, { a: 1, b: 2 }, { b: null }],
    ['removes what left, whatever became of it', { b: 2 }, {}, { b: 3 }, { b: null }],
    ['does not remove what is gone already', { b: 2 }, {}, {}, {}],
    ['leaves what others added', {}, {}, { b: 3 }, {}],
    ['goes into maps', { m: { a: 1, b: 2 } }, { m: { a: 9 } }, { m: { a: 1, b: 2, c: 3 } }, { m: { a: 9, b: null } }],
    ['replaces a map by something else', {}, { m: 1 }, { m: { a: 1 } }, { m: 1 }],
    ['takes null for not there', {}, { a: null, b: null }, { a: 1 }, { a: null }],
    ['takes any name', {}, JSON.parse('{"__proto__":1}'), {}, JSON.parse('{"__proto__":1}')],
  ])('%s', (_, original, modified, current, patch) => {
    expect(threeWayPatch({ original, modified, current })).toStrictEqual(patch);
    expect(threeWayPatch({ original, modified, current }, schema)).toStrictEqual(patch);
  });

  it('replaces a map that is not merged', () => {
    const states = { original: {}, modified: { selector: { a: 1 } }, current: { selector: { a: 1, b: 1 } } };
    expect(threeWayPatch(states, schema)).toEqual({ selector: { a: 1 } });
    expect(threeWayPatch({ ...states, current: states.modified }, schema)).toEqual({});
  });

  it('says what stays of one of several things when it becomes another', () => {
    const current = { update: { type: 'Rolling', rolling: { surge: 1 } } };
    const patchTo = (update: JsonObject): JsonObject =>
      threeWayPatch({ original: {}, modified: { update }, current }, schema);
    expect(patchTo({ type: 'Recreate' })).toEqual({ update: { type: 'Recreate', $retainKeys: ['type'] } });
    expect(patchTo({ type: 'Rolling' })).toEqual({});
  });
});

describe('a patch of lists without a schema', () => {
  it('replaces a list as a whole, and only when it differs', () => {
    const original = { list: [{ name: 'a' }, { name: 'b' }] };
    const modified = { list: [{ name: 'a' }] };
    expect(threeWayPatch({ original, modified, current: original })).toEqual({ list: [{ name: 'a' }] });
    expect(threeWayPatch({ original, modified, current: modified })).toEqual({});
  });
});

describe('a patch of a list of plain values', () => {
  it.each([
    ['is empty when others only added', ['x'], ['x'], ['other', 'x'], {}],
    ['adds', [], ['x'], ['other'], { finalizers: ['x'], '$setElementOrder/finalizers': ['x'] }],
    [
      'removes what left',
      ['x', 'y'],
      ['x'],
      ['x', 'other', 'y'],
      { '$deleteFromPrimitiveList/finalizers': ['y'], '$setElementOrder/finalizers': ['x'] },
    ],
    ['removes the last one', ['x'], [], ['x', 'other'], { '$deleteFromPrimitiveList/finalizers': ['x'] }],
    ['puts them in order', ['x', 'y'], ['y', 'x'], ['x', 'y'], { '$setElementOrder/finalizers': ['y', 'x'] }],
  ])('%s', (_, original, modified, current, patch) => {
    const states = {
      original: { finalizers: original },
      modified: { finalizers: modified },
      current: { finalizers: current },
    };
    expect(threeWayPatch(states, schema)).toEqual(patch);
  });
});

describe('a patch of a list of maps', () => {
  const a = { name: 'a', image: '1' };
  const b = { name: 'b', image: '1' };
  const injected = { name: 'injected', image: '1' };

  it.each<[string, readonly JsonObject[], readonly JsonObject[], readonly JsonObject[], JsonObject]>([
    ['is empty when others only added', [a], [a], [injected, { ...a, pull: 'Always' }], {}],
    [
      'removes what left, and leaves what others added',
      [a, b],
      [a],
      [a, injected, b],
      { containers: [{ name: 'b', $patch: 'delete' }], '$setElementOrder/containers': [{ name: 'a' }] },
    ],
    [
      'adds, and changes what is there',
      [a],
      [b, { ...a, image: '2' }],
      [a],
      {
        containers: [b, { name: 'a', image: '2' }],
        '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }],
      },
    ],
    [
      'goes into the lists of its maps',
      [{ name: 'a', env: [{ name: 'K', value: '1' }, { name: 'L' }] }],
      [{ name: 'a', env: [{ name: 'K', value: '1' }] }],
      [{ name: 'a', env: [{ name: 'K', value: '1' }, { name: 'L' }, { name: 'M' }] }],
      {
        containers: [{ name: 'a', env: [{ name: 'L', $patch: 'delete' }], '$setElementOrder/env': [{ name: 'K' }] }],
        '$setElementOrder/containers': [{ name: 'a' }],
      },
    ],
    [
      'sends a map without a name as it is: the server says what is wrong with it',
      [a],
      [a, { image: '2' }],
      [a],
      { containers: [{ image: '2' }], '$setElementOrder/containers': [{ name: 'a' }] },
    ],
  ])('%s', (_, original, modified, current, patch) => {
    const states = {
      original: { containers: original },
      modified: { containers: modified },
      current: { containers: current },
    };
    expect(threeWayPatch(states, schema)).toEqual(patch);
  });

  it('says what stays of a map that becomes something else', () => {
    const current = { volumes: [{ name: 'v', emptyDir: {} }] };
    const modified = { volumes: [{ name: 'v', hostPath: { path: '/' } }] };
    expect(threeWayPatch({ original: {}, modified, current }, schema)).toEqual({
      volumes: [{ name: 'v', hostPath: { path: '/' }, $retainKeys: ['hostPath', 'name'] }],
      '$setElementOrder/volumes': [{ name: 'v' }],
    });
  });

  it('replaces a list in which a name stands twice, of which a patch can change one only', () => {
    const ports = [
      { port: 53, protocol: 'UDP', target: 53 },
      { port: 53, protocol: 'TCP', target: 53 },
    ];
    const changed = ports.map((port) => ({ ...port, target: 5353 }));
    const current = { ports: [...ports, { port: 9, protocol: 'TCP' }] };
    const patchTo = (modified: JsonObject): JsonObject =>
      threeWayPatch({ original: { ports }, modified, current }, schema);
    expect(patchTo({ ports })).toEqual({});
    expect(patchTo({ ports: changed })).toEqual({
      ports: [{ $patch: 'replace' }, ...changed, { port: 9, protocol: 'TCP' }],
    });
  });
});

it('a schema is needed where there is a list', () => {
  expect(hasList({ a: { b: 1, c: null } })).toBe(false);
  expect(hasList({ a: { b: [] } })).toBe(true);
});

/** Applies a patch by the letter of its description; a name stands once in each list. */
function applied(current: JsonObject, patch: JsonObject, merge?: MergeSchema): JsonObject {
  const result = new Map(Object.entries(current));
  for (const [key, value] of Object.entries(patch)) {
    const gone = key.startsWith('$deleteFromPrimitiveList/') ? key.slice('$deleteFromPrimitiveList/'.length) : '';
    const there = result.get(gone === '' ? key : gone);
    const field = merge?.(key);
    if (gone !== '')
      result.set(
        gone,
        listOf(there).filter((one) => !listOf(value).includes(one)),
      );
    else if (key.startsWith('$')) continue;
    else if (value === null) result.delete(key);
    else if (isJsonObject(value) && isJsonObject(there)) result.set(key, applied(there, value, field?.inner));
    else if (!Array.isArray(value) || field?.strategy !== 'merge') result.set(key, value);
    else if (field.mergeKey === undefined) result.set(key, [...new Set([...listOf(there), ...value])]);
    else
      result.set(key, mergedLists(listOf(there) as JsonObject[], value as JsonObject[], field.mergeKey, field.inner));
  }
  return Object.fromEntries(result);
}

function mergedLists(
  there: readonly JsonObject[],
  patch: readonly JsonObject[],
  key: string,
  inner?: MergeSchema,
): unknown {
  const byName = new Map(there.map((one) => [one[key], one]));
  for (const one of patch) {
    if (one['$patch'] === 'delete') byName.delete(one[key]);
    else byName.set(one[key], applied(byName.get(one[key]) ?? {}, one, inner));
  }
  return [...byName.values()];
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

describe('whatever the three states are', () => {
  const names = fc.constantFrom('a', 'b', 'c', 'd');
  const map = fc.dictionary(names, fc.integer({ min: 0, max: 2 }), { noNullPrototype: true });
  const values = fc.uniqueArray(names);
  const env = fc.uniqueArray(fc.record({ name: names, value: fc.integer({ min: 0, max: 2 }) }), {
    selector: ({ name }) => name,
  });
  const containers = fc.uniqueArray(fc.record({ name: names, labels: map, env, args: values }), {
    selector: ({ name }) => name,
  });
  const object = fc.record({ labels: map, finalizers: values, args: values, containers });

  /** Each thing that an object says, by where it stands: of lists that are merged, each item by its name. */
  function facts(value: unknown, merge: MergeSchema | undefined, at = ''): ReadonlyMap<string, unknown> {
    if (!isJsonObject(value)) return new Map([[at, value]]);
    return new Map(
      Object.entries(value).flatMap(([key, inner]): [string, unknown][] => {
        const field = merge?.(key);
        const here = `${at}/${key}`;
        if (!Array.isArray(inner) || field?.strategy !== 'merge') return [...facts(inner, field?.inner, here)];
        return inner.flatMap((one): [string, unknown][] => {
          const name: unknown = isJsonObject(one) ? one[field.mergeKey ?? ''] : one;
          return [...facts(one, field.inner, `${here}[${String(name)}]`)];
        });
      }),
    );
  }

  it.each([
    ['strategic', schema],
    ['JSON', undefined],
  ])('a %s patch makes the manifest hold, removes what left it, keeps the rest, and is empty then', (_, merge) => {
    fc.assert(
      fc.property(object, object, object, (original, modified, current) => {
        const patch = threeWayPatch({ original, modified, current }, merge);
        const after = applied(current, patch, merge);
        const [is, was, should, had] = [after, current, modified, original].map((one) => facts(one, merge));
        const isUnder = (at: string, list: ReadonlyMap<string, unknown> | undefined): boolean => list?.has(at) ?? false;
        for (const [at, value] of should ?? []) expect(is?.get(at), at).toEqual(value);
        for (const [at] of is ?? []) if (!isUnder(at, should)) expect(isUnder(at, was), at).toBe(true);
        for (const [at, value] of was ?? []) {
          if (isUnder(at, should)) continue;
          if (isUnder(at, had)) expect(isUnder(at, is), at).toBe(false);
          else if (!isOfLeft(at, had, should)) expect(is?.get(at), at).toEqual(value);
        }
        const again = threeWayPatch({ original: modified, modified, current: after }, merge);
        expect(withoutOrders(again)).toEqual({});
      }),
      { numRuns: 100 },
    );
  });

  /** True for what stands in an item that left: it goes with it, whoever added it. */
  function isOfLeft(at: string, had?: ReadonlyMap<string, unknown>, should?: ReadonlyMap<string, unknown>): boolean {
    const [item] = /^\/containers\[\w\]/.exec(at) ?? [];
    const isIn = (list?: ReadonlyMap<string, unknown>): boolean =>
      item !== undefined && [...(list?.keys() ?? [])].some((key) => key.startsWith(item));
    return isIn(had) && !isIn(should);
  }

  /** The applier above puts nothing in order. */
  function withoutOrders(value: unknown): unknown {
    if (Array.isArray(value)) {
      return value
        .map(withoutOrders)
        .filter((one) => !isJsonObject(one) || Object.keys(one).some((key) => key !== 'name'));
    }
    if (!isJsonObject(value)) return value;
    const kept = Object.entries(value).filter(([key]) => !key.startsWith('$setElementOrder/'));
    return Object.fromEntries(
      kept
        .map(([key, inner]): [string, unknown] => [key, withoutOrders(inner)])
        .filter(([, inner]) => !Array.isArray(inner) || inner.length > 0),
    );
  }
});
