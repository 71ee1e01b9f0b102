import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import { badRequest } from './api-error.ts';
import { isSameJson } from './api-object.ts';
import { type SchemaField, type Struct, structOf } from './api-schema.ts';

const DELETE_VALUES = '$deleteFromPrimitiveList/';
const ELEMENT_ORDER = '$setElementOrder/';

/**
 * Applies a strategic merge patch: as a JSON merge patch, but some lists are merged by a key of their objects, and
 * `$patch`, `$retainKeys`, `$deleteFromPrimitiveList/…` and `$setElementOrder/…` say what a patch cannot say else.
 *
 * @param kind of both: its schema says which lists are merged and how; others are replaced as a whole
 * @throws ExecPathError ERR_BAD_REQUEST for a directive or a list element that cannot be understood
 * @see kubernetes/community contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
export function applyStrategicMergePatch(target: unknown, patch: unknown, kind: string): unknown {
  if (!isJsonObject(patch)) throw badRequest('a strategic merge patch must be a JSON object');
  return mergeObjects(isJsonObject(target) ? target : {}, patch, structOf(kind));
}

function mergeObjects(target: JsonObject, patch: JsonObject, struct: Struct | undefined): JsonObject {
  const directive = patch['$patch'];
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'replace' && directive !== 'merge') {
    throw badRequest(`$patch must be replace, merge or delete, not ${JSON.stringify(directive)}`);
  }
  const merged = new Map(Object.entries(directive === 'replace' ? {} : retained(target, patch['$retainKeys'])));
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(DELETE_VALUES)) {
      const field = key.slice(DELETE_VALUES.length);
      const gone = listOf(value, key);
      const kept = listOrEmpty(merged.get(field)).filter((one) => !gone.some((other) => isSameJson(one, other)));
      if (merged.has(field)) merged.set(field, kept);
    } else if (key.startsWith('$')) continue;
    else if (value === null) merged.delete(key);
    else merged.set(key, mergeValues(struct?.get(key), merged.get(key), value));
  }
  for (const [key, value] of Object.entries(patch)) {
    const field = key.slice(ELEMENT_ORDER.length);
    if (!key.startsWith(ELEMENT_ORDER) || !Array.isArray(merged.get(field))) continue;
    merged.set(field, ordered(listOrEmpty(merged.get(field)), listOf(value, key), struct?.get(field)?.mergeKey));
  }
  return Object.fromEntries(merged);
}

/** `$retainKeys` names the fields of which nothing else may stay: a union changes its member so. */
function retained(target: JsonObject, retainKeys: unknown): JsonObject {
  if (retainKeys === undefined) return target;
  const keys = listOf(retainKeys, '$retainKeys');
  return Object.fromEntries(Object.entries(target).filter(([key]) => keys.includes(key)));
}

function mergeValues(field: SchemaField | undefined, target: unknown, patch: unknown): unknown {
  const struct = field?.form === 'single' ? structOf(field.element) : undefined;
  if (isJsonObject(patch)) return mergeObjects(isJsonObject(target) ? target : {}, patch, struct);
  if (!Array.isArray(patch) || field?.mergeKey === undefined) return patch;
  if (field.mergeKey !== '*') return mergeLists(listOrEmpty(target), patch, field);
  const old = listOrEmpty(target);
  return [...old, ...patch.filter((one: unknown) => !old.includes(one))];
}

function mergeLists(target: readonly unknown[], patch: readonly unknown[], field: SchemaField): readonly unknown[] {
  const { mergeKey = '', name } = field;
  const struct = structOf(field.element);
  const replaces = patch.some((element) => isJsonObject(element) && element['$patch'] === 'replace');
  let merged = replaces ? [] : [...target];
  for (const element of patch) {
    if (!isJsonObject(element)) throw badRequest(`the elements of ${name} must be objects`);
    const isDirectiveAlone = element['$patch'] === 'replace' && Object.keys(element).length === 1;
    if (isDirectiveAlone) continue;
    const value = element[mergeKey];
    if (value === undefined) {
      throw badRequest(`map: ${JSON.stringify(element)} does not contain declared merge key: ${mergeKey}`);
    }
    const at = merged.findIndex((one) => isJsonObject(one) && isSameJson(one[mergeKey], value));
    if (element['$patch'] === 'delete') merged = merged.filter((_, index) => index !== at);
    else if (at === -1) merged.push(mergeObjects({}, element, struct));
    else merged[at] = mergeObjects(merged[at] as JsonObject, element, struct);
  }
  return merged;
}

/** Elements that `order` names come in its order; the others stay behind the element that they stood behind. */
function ordered(list: readonly unknown[], order: readonly unknown[], mergeKey: string | undefined): unknown[] {
  const keyOf = (element: unknown): unknown =>
    mergeKey !== undefined && isJsonObject(element) ? element[mergeKey] : element;
  const rank = order.map(keyOf);
  const rankOf = (element: unknown): number => rank.findIndex((key) => isSameJson(key, keyOf(element)));
  const named = list.filter((element) => rankOf(element) !== -1).sort((left, right) => rankOf(left) - rankOf(right));
  const sorted: unknown[] = list.filter((element, at) => rankOf(element) === -1 && !hasNamedBefore(list, at, rankOf));
  for (const element of named) {
    sorted.push(element);
    for (let at = list.indexOf(element) + 1; at < list.length && rankOf(list[at]) === -1; at += 1)
      sorted.push(list[at]);
  }
  return sorted;
}

function hasNamedBefore(list: readonly unknown[], at: number, rankOf: (element: unknown) => number): boolean {
  return list.slice(0, at).some((element) => rankOf(element) !== -1);
}

function listOf(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw badRequest(`${field} must be a list`);
  return value;
}

function listOrEmpty(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
