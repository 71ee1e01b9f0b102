import { badRequest } from './api-error.ts';
import { isJsonObject } from './api-object.ts';

/** What a JSON value must be: a type, a list of something, an object with known fields, or a map of something. */
export type Shape =
  | 'string'
  | 'number'
  | 'boolean'
  | 'object'
  | readonly [Shape]
  | { readonly '*': Shape }
  | { readonly [field: string]: Shape };

/**
 * Checks the types of the fields that a shape names, as Go does when it decodes; other fields pass, absent ones too.
 *
 * @throws ExecPathError ERR_BAD_REQUEST naming the field
 */
export function checkShape(value: unknown, shape: Shape, path: string): void {
  if (value === undefined) return;
  const refuse = (expected: string): Error => {
    const shown = JSON.stringify(value) ?? 'nothing';
    return badRequest(`${path} must be ${expected}, not ${shown.length > 64 ? `${shown.slice(0, 60)} …` : shown}`);
  };
  if (typeof shape === 'string') {
    const isRight = shape === 'object' ? isJsonObject(value) : typeof value === shape;
    if (!isRight) throw refuse(`${shape === 'object' ? 'an' : 'a'} ${shape}`);
  } else if (Array.isArray(shape)) {
    if (!Array.isArray(value)) throw refuse('a list');
    const [element] = shape as readonly [Shape];
    // An element cannot be absent.
    for (const [at, one] of value.entries()) checkShape(one ?? null, element, `${path}[${at}]`);
  } else {
    if (!isJsonObject(value)) throw refuse('an object');
    const { '*': each, ...fields } = shape as Readonly<Record<string, Shape>>;
    for (const [field, fieldShape] of Object.entries(fields)) checkShape(value[field], fieldShape, `${path}.${field}`);
    if (each === undefined) return;
    for (const [key, one] of Object.entries(value)) checkShape(one, each, `${path}.${key}`);
  }
}

/** In Go a null field is an absent one. Elements of lists stay as they are. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, field]) => (field === null ? [] : [[key, withoutNulls(field)]])),
  );
}
