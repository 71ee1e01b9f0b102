import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type JsonObject } from '../common/json-object.ts';

/** How a strategic merge patch merges one field of a map. */
export interface FieldMerge {
  /** `merge`: what a list holds is merged with what is there; `replace`: a map is not. Absent: maps are, lists are not. */
  readonly strategy?: 'merge' | 'replace' | undefined;
  /** Of a list that is merged: the field that tells one of its maps from another. Absent: it holds plain values. */
  readonly mergeKey?: string | undefined;
  /** A patch names the fields that stay: the map, or each of the list, is one of several things and becomes another. */
  readonly retainsKeys: boolean;
  /** Of the map, or of those that the list holds. */
  readonly inner?: MergeSchema | undefined;
}

/** How the fields of a map are merged. @returns undefined for a field of which nothing is known */
export type MergeSchema = (field: string) => FieldMerge | undefined;

/** One value in its three states. */
export interface ThreeStates<T> {
  /** As the manifest said when it was applied last. */
  readonly original: T;
  /** As the manifest says now. */
  readonly modified: T;
  /** As it is. */
  readonly current: T;
}

/**
 * The patch by which what left the manifest goes, what it says holds, and what somebody else added stays.
 *
 * @param schema of a type that takes strategic merge patches; without it the patch is a JSON merge patch (RFC 7396), in
 * which lists are replaced as a whole
 * @returns an empty map when there is nothing to do
 */
export function threeWayPatch(states: ThreeStates<JsonObject>, schema?: MergeSchema): JsonObject {
  return patchOfMap(states, { inner: schema, retainsKeys: false });
}

/** True where the two kinds of patch may differ: in lists, and in what stands beside them. */
export function hasList(value: unknown): boolean {
  return Array.isArray(value) || (isJsonObject(value) && Object.values(value).some(hasList));
}

function patchOfMap({ original, modified, current }: ThreeStates<JsonObject>, merge: FieldMerge): JsonObject {
  const changed = Object.entries(modified).flatMap(([key, wanted]) => {
    const states = { original: ownValue(original, key), modified: wanted, current: ownValue(current, key) };
    return patchOfField(key, states, merge.inner?.(key));
  });
  const left = Object.keys(original)
    .filter((key) => !Object.hasOwn(modified, key) && isThere(ownValue(current, key)))
    .map((key): [string, unknown] => [key, null]);
  const patch = [...changed, ...left];
  if (!merge.retainsKeys || patch.length === 0) return Object.fromEntries(patch);
  const retained = Object.keys(modified).filter((key) => isThere(ownValue(modified, key)));
  return Object.fromEntries([...patch, ['$retainKeys', retained.sort()]]);
}

/** What of the patch is about one field: none, one or several entries. */
function patchOfField(key: string, states: ThreeStates<unknown>, merge?: FieldMerge): readonly [string, unknown][] {
  const { original, modified, current } = states;
  if (!isThere(modified)) return isThere(current) ? [[key, null]] : [];
  if (isJsonObject(modified) && isJsonObject(current) && merge?.strategy !== 'replace') {
    const maps = { original: isJsonObject(original) ? original : {}, modified, current };
    const patch = patchOfMap(maps, merge ?? { retainsKeys: false });
    return isEmpty(patch) ? [] : [[key, patch]];
  }
  if (Array.isArray(modified) && Array.isArray(current) && merge?.strategy === 'merge') {
    const lists = { original: Array.isArray(original) ? original : [], modified, current };
    if (merge.mergeKey !== undefined) return patchOfMaps(key, lists, { ...merge, mergeKey: merge.mergeKey });
    if (![...modified, ...current].some((value) => typeof value === 'object')) return patchOfValues(key, lists);
  }
  return isDeepStrictEqual(modified, current) ? [] : [[key, modified]];
}

/** Of a list of plain values, each of which is there or not. */
function patchOfValues(key: string, lists: ThreeStates<readonly unknown[]>): readonly [string, unknown][] {
  const [original, modified, current] = [lists.original, lists.modified, lists.current].map((list) => new Set(list));
  if (original === undefined || modified === undefined || current === undefined) return [];
  const added = [...modified].filter((value) => !current.has(value));
  const left = [...original].filter((value) => !modified.has(value) && current.has(value));
  if (added.length === 0 && left.length === 0 && isInOrder([...modified], [...current])) return [];
  return [
    ...entryOf(key, added),
    ...entryOf(`$deleteFromPrimitiveList/${key}`, left),
    ...entryOf(`$setElementOrder/${key}`, [...modified]),
  ];
}

/** Of a list of maps that are told apart by a field of theirs. */
function patchOfMaps(
  key: string,
  lists: ThreeStates<readonly unknown[]>,
  merge: FieldMerge & { readonly mergeKey: string },
): readonly [string, unknown][] {
  const { mergeKey } = merge;
  const original = named(lists.original, mergeKey);
  const modified = named(lists.modified, mergeKey);
  const current = named(lists.current, mergeKey);
  const changed = [...modified].flatMap(([name, item]) => {
    const now = current.get(name);
    if (!isJsonObject(item) || !isJsonObject(now)) return [item];
    const before = original.get(name);
    const patch = patchOfMap({ original: isJsonObject(before) ? before : {}, modified: item, current: now }, merge);
    return isEmpty(patch) ? [] : [{ ...patch, [mergeKey]: item[mergeKey] }];
  });
  const left = [...original].filter(([name]) => !modified.has(name) && current.has(name)).map(([, item]) => item);
  if (changed.length === 0 && left.length === 0 && isInOrder([...modified.keys()], [...current.keys()])) return [];
  if (hasTwins(lists.modified, mergeKey) || hasTwins(lists.current, mergeKey)) {
    const others = [...current].filter(([name]) => !modified.has(name) && !original.has(name)).map(([, item]) => item);
    return [[key, [{ $patch: 'replace' }, ...lists.modified, ...others]]];
  }
  const order = lists.modified.filter((item) => nameOf(item, mergeKey) !== undefined);
  return [
    ...entryOf(key, [...changed, ...left.map((item) => ({ ...nameMap(item, mergeKey), $patch: 'delete' }))]),
    ...entryOf(
      `$setElementOrder/${key}`,
      order.map((item) => nameMap(item, mergeKey)),
    ),
  ];
}

/**
 * The maps of a list by name. A name may come twice, as the number of a port does that takes TCP and UDP: then the first
 * is the first, and the second the second. A patch cannot name the second, see {@link hasTwins}.
 */
function named(list: readonly unknown[], mergeKey: string): ReadonlyMap<string, unknown> {
  const counts = new Map<string, number>();
  return new Map(
    list.map((item) => {
      const name = JSON.stringify(nameOf(item, mergeKey) ?? null);
      const count = counts.get(name) ?? 0;
      counts.set(name, count + 1);
      return [`${name}#${count}`, item];
    }),
  );
}

function hasTwins(list: readonly unknown[], mergeKey: string): boolean {
  const names = list.map((item) => nameOf(item, mergeKey));
  return new Set(names).size !== names.length;
}

function nameOf(item: unknown, mergeKey: string): unknown {
  return isJsonObject(item) ? ownValue(item, mergeKey) : undefined;
}

function nameMap(item: unknown, mergeKey: string): JsonObject {
  return { [mergeKey]: nameOf(item, mergeKey) };
}

/** True when what both have stands in the same order. */
function isInOrder(wanted: readonly unknown[], there: readonly unknown[]): boolean {
  const [ofWanted, ofThere] = [new Set(wanted), new Set(there)];
  const both = wanted.filter((one) => ofThere.has(one));
  const inPlace = there.filter((one) => ofWanted.has(one));
  return both.every((one, at) => one === inPlace[at]);
}

function entryOf(key: string, list: readonly unknown[]): readonly [string, unknown][] {
  return list.length === 0 ? [] : [[key, list]];
}

function ownValue(map: JsonObject, key: string): unknown {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function isEmpty(map: JsonObject): boolean {
  return Object.keys(map).length === 0;
}
