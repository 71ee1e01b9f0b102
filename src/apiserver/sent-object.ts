import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import { apiVersionOf } from '../kubeapi/index.ts';
import { badRequest, invalid, invalidField } from './api-error.ts';
import { type ApiObject } from './api-object.ts';
import type { Resource } from './resource.ts';
import { decodeTyped, TypeMismatch } from './typed-object.ts';

/** An object as somebody sent it, with what its kind does not have left out. */
export interface SentObject {
  readonly object: ApiObject;
  /** What was left out: `unknown field "spec.foo"`. */
  readonly unknownFields: readonly string[];
}

/**
 * Reads what was sent as an object of a resource.
 *
 * @throws ExecPathError ERR_BAD_REQUEST with upstream's text
 */
export function readSentObject(input: unknown, resource: Resource): SentObject {
  if (!isJsonObject(input)) throw badRequest('the body must be a JSON object');
  checkVersion(input, resource);
  return readSentAs(input, resource.kind);
}

/** The same for what is sent as an object of a kind, whatever its version. @throws ExecPathError ERR_BAD_REQUEST */
export function readSentAs(input: JsonObject, wanted: string): SentObject {
  const kind = typeof input['kind'] === 'string' && input['kind'] !== '' ? input['kind'] : wanted;
  const refuse = (why: string): Error => badRequest(`${kind} in version "v1" cannot be handled as a ${wanted}: ${why}`);
  if (kind !== wanted) throw refuse(`the kind in the data (${kind}) does not match the expected kind (${wanted})`);
  try {
    return typed(input, wanted);
  } catch (error) {
    throw error instanceof TypeMismatch ? refuse(error.message) : error;
  }
}

/**
 * Reads what a patch has made of an object.
 *
 * @param patch what was sent
 * @param isStrategic its failures are told as upstream's other decoder tells them
 * @throws ApiError ERR_INVALID for a value of the wrong type
 */
export function readPatchedObject(
  input: unknown,
  resource: Resource,
  { patch, isStrategic }: { readonly patch: unknown; readonly isStrategic: boolean },
): SentObject {
  if (!isJsonObject(input)) throw invalidPatch(patch, 'the patch leaves no object');
  checkVersion(input, resource);
  const { kind = resource.kind } = input;
  if (kind !== resource.kind) throw invalidPatch(input, `a patch cannot make ${String(kind)} of ${resource.kind}`);
  try {
    return typed(input, resource.kind);
  } catch (error) {
    if (!(error instanceof TypeMismatch)) throw error;
    throw isStrategic ? invalidPatch(patch, error.conversionText, true) : invalidPatch(input, error.message);
  }
}

/** @param asGo upstream shows a strategic patch as Go prints a map */
export function invalidPatch(value: unknown, why: string, asGo = false): Error {
  const shown = asGo ? goText(value) : JSON.stringify(value);
  return invalid({ group: '', kind: '' }, '', [invalidField('patch', shown, why)]);
}

function typed(input: JsonObject, kind: string): SentObject {
  const { object, unknownFields } = decodeTyped({ ...input, metadata: input['metadata'] ?? {} }, kind);
  // Its type has all that ApiObject names, but for a name, which the rules of new objects ask for.
  return { object: { metadata: {}, ...object } as unknown as ApiObject, unknownFields };
}

function checkVersion({ apiVersion, kind }: JsonObject, resource: Resource): void {
  if (kind !== undefined && kind !== null && typeof kind !== 'string') throw badRequest('kind must be a string');
  if (apiVersion === undefined || apiVersion === null || apiVersion === '') return;
  const expected = apiVersionOf(resource);
  if (apiVersion === expected) return;
  const given = typeof apiVersion === 'string' ? apiVersion : JSON.stringify(apiVersion);
  throw badRequest(`the API version in the data (${given}) does not match the expected API version (${expected})`);
}

function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (isJsonObject(value)) {
    const fields = Object.keys(value).sort();
    return `map[${fields.map((key) => `${key}:${goText(value[key])}`).join(' ')}]`;
  }
  if (value === null) return '<nil>';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
