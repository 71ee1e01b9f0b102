import { ExecPathError } from '../common/errors.ts';
import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import { ApiError, badRequest } from './api-error.ts';
import { isSameJson } from './api-object.ts';

/** The most operations in one patch: upstream's limit. */
const MAX_OPERATIONS = 10_000;
/** The most that the copies of one patch add, in bytes of JSON: upstream's limit. Copies of copies double. */
const MAX_COPIED_BYTES = 3 * 1024 * 1024;

/**
 * Applies a JSON patch: a list of operations on paths, all or none.
 *
 * As upstream's library takes it, which is wider than the RFC: a field that is not there can be replaced and is tested as
 * null, -1 is the last element of a list, and an operation without a value has null.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for what is no list of operations, ERR_BODY_TOO_LARGE, ERR_INVALID for an operation that
 * cannot be done and a `test` that fails
 * @see RFC 6902, evanphx/json-patch v4
 */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch must be a list of operations');
  if (patch.length > MAX_OPERATIONS) throw tooManyOperations(patch.length);
  const copies = { bytes: 0 };
  return patch.reduce((document: unknown, operation: unknown) => {
    if (operation !== null && !isJsonObject(operation))
      throw badRequest('an operation of a JSON patch must be an object');
    return applyOperation(document, operation ?? {}, copies);
  }, target);
}

function applyOperation(document: unknown, operation: JsonObject, copies: { bytes: number }): unknown {
  const path = pointerOf(operation, 'path');
  switch (operation['op']) {
    case 'add':
      return change(document, path, { kind: 'add', value: valueOf(operation) });
    case 'remove':
      return change(document, path, { kind: 'remove' });
    case 'replace':
      return change(document, path, { kind: 'replace', value: valueOf(operation) });
    case 'copy': {
      const value = read(document, pointerOf(operation, 'from'));
      copies.bytes += Buffer.byteLength(JSON.stringify(value));
      if (copies.bytes > MAX_COPIED_BYTES) throw tooMuchCopied(copies.bytes);
      return change(document, path, { kind: 'add', value });
    }
    case 'move': {
      const from = pointerOf(operation, 'from');
      if (path.length > from.length && from.every((step, at) => step === path[at])) {
        throw impossible('a JSON patch cannot move a value into itself');
      }
      const value = read(document, from);
      return change(change(document, from, { kind: 'remove' }), path, { kind: 'add', value });
    }
    case 'test': {
      if (isSameJson(fieldAt(document, path), valueOf(operation))) return document;
      throw impossible(`the JSON patch's test of ${JSON.stringify(operation['path'])} failed`);
    }
    default:
      throw impossible(`${JSON.stringify(operation['op'] ?? null)} is not an operation of a JSON patch`);
  }
}

type Change = { readonly kind: 'add' | 'replace'; readonly value: unknown } | { readonly kind: 'remove' };

function change(document: unknown, path: readonly string[], what: Change): unknown {
  const [step, ...rest] = path;
  if (step === undefined) {
    if (what.kind === 'replace') return what.value;
    throw impossible('a JSON patch can replace the whole object, not add or remove it');
  }
  if (Array.isArray(document)) {
    const list: unknown[] = document;
    const at = indexOf(list, step, what.kind === 'add' && rest.length === 0);
    if (rest.length > 0) return list.with(at, change(list[at], rest, what));
    if (what.kind === 'add') return list.toSpliced(at, 0, what.value);
    return what.kind === 'remove' ? list.toSpliced(at, 1) : list.with(at, what.value);
  }
  if (!isJsonObject(document)) throw missing(step);
  if ((rest.length > 0 || what.kind === 'remove') && !Object.hasOwn(document, step)) throw missing(step);
  const fields = new Map(Object.entries(document));
  if (rest.length > 0) fields.set(step, change(fields.get(step), rest, what));
  else if (what.kind === 'remove') fields.delete(step);
  else fields.set(step, what.value);
  return Object.fromEntries(fields);
}

function read(document: unknown, path: readonly string[]): unknown {
  let value = document;
  for (const step of path) {
    if (Array.isArray(value)) value = value[indexOf(value, step, false)];
    else if (isJsonObject(value) && Object.hasOwn(value, step)) value = value[step];
    else throw missing(step);
  }
  return value;
}

/** As {@link read}; null for a field that its object does not have. */
function fieldAt(document: unknown, path: readonly string[]): unknown {
  const [step, ...rest] = path.toReversed();
  if (step === undefined) return document;
  const holder = read(document, rest.toReversed());
  return isJsonObject(holder) && !Object.hasOwn(holder, step) ? null : read(holder, [step]);
}

/** `-` is the place behind the last element; what is negative counts from there. */
function indexOf(list: readonly unknown[], step: string, isInsertion: boolean): number {
  if (step === '-' && isInsertion) return list.length;
  const places = list.length + (isInsertion ? 1 : 0);
  const at = /^[+-]?\d{1,9}$/.test(step) ? Number(step) : Number.NaN;
  const place = at < 0 ? at + places : at;
  if (place >= 0 && place < places) return place;
  throw missing(step);
}

/** @see RFC 6901 */
function pointerOf(operation: JsonObject, field: 'path' | 'from'): readonly string[] {
  const pointer = operation[field];
  if (typeof pointer !== 'string' || (pointer !== '' && !pointer.startsWith('/'))) {
    throw impossible(`${field} ${JSON.stringify(pointer ?? null)} of a JSON patch is not a JSON pointer`);
  }
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function valueOf(operation: JsonObject): unknown {
  return operation['value'] ?? null;
}

/** Upstream's words. */
function tooManyOperations(count: number): Error {
  const why = `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${count}`;
  return new ExecPathError('ERR_BODY_TOO_LARGE', `Request entity too large: ${why}`, { hop: 'apiserver' });
}

/** Upstream's words. */
function tooMuchCopied(bytes: number): Error {
  const why = `the accumulated size increase of copy is ${bytes}, exceeding the limit ${MAX_COPIED_BYTES}`;
  return impossible(`Unable to complete the copy, ${why}`);
}

function missing(step: string): Error {
  return impossible(`the JSON patch names ${JSON.stringify(step)}, which is not there`);
}

/** An operation that is one, but not for this object: upstream's text, with the reason as its cause. */
function impossible(message: string): Error {
  const causes = [{ reason: 'FieldValueInvalid', message, field: 'patch' }];
  return new ApiError('ERR_INVALID', 'the server rejected our request due to an error in our request', { causes });
}
