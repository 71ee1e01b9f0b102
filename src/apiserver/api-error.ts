import { isIP } from 'node:net';
import { type ErrorCode, ExecPathError } from '../common/errors.ts';
import { type Status, type StatusCause, statusOf } from '../common/status.ts';
import { ApiStatusError } from '../kubeapi/index.ts';

/** What a Status says of the object it speaks of; `kind` is the plural of the resource. */
export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** A failure whose Status has details. Its texts are upstream's, word for word, for people and scripts match on them. */
export class ApiError extends ExecPathError {
  readonly details: StatusDetails;

  constructor(code: ErrorCode, message: string, details: StatusDetails, options: { readonly cause?: unknown } = {}) {
    super(code, message, { ...options, hop: 'apiserver' });
    this.details = details;
  }
}

/** The Status that answers for anything thrown; with details when they are known. */
export function apiStatusOf(thrown: unknown): Status & { readonly code: number } {
  // Another apiserver's own words.
  if (thrown instanceof ApiStatusError) return { ...thrown.status, code: thrown.httpStatus };
  const status = statusOf(thrown);
  return thrown instanceof ApiError ? { ...status, details: thrown.details } : status;
}

/** The Status of a success that has no object of its own, such as a deletion. */
export function successStatus(details?: StatusDetails): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    ...(details === undefined ? {} : { details }),
  };
}

/** A resource as errors name it: `pods`, or `leases.coordination.k8s.io` outside the core group. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
}

function qualified({ group, plural }: ResourceName): string {
  return group === '' ? plural : `${plural}.${group}`;
}

function detailsOf({ group, plural }: ResourceName, name: string): StatusDetails {
  return { ...namedDetails(name), ...(group === '' ? {} : { group }), kind: plural };
}

/** As Go writes it, which leaves an empty name out. */
function namedDetails(name: string): StatusDetails {
  return name === '' ? {} : { name };
}

export function badRequest(message: string, cause?: unknown): ExecPathError {
  return new ExecPathError('ERR_BAD_REQUEST', message, { cause, hop: 'apiserver' });
}

export function notFound(resource: ResourceName, name: string): ApiError {
  return new ApiError('ERR_NOT_FOUND', `${qualified(resource)} "${name}" not found`, detailsOf(resource, name));
}

/** For a path that leads nowhere. */
export function unknownPath(): ApiError {
  return new ApiError('ERR_NOT_FOUND', 'the server could not find the requested resource', {});
}

/** For a method that the path does not have. */
export function methodNotAllowed(): ApiError {
  return new ApiError('ERR_METHOD_NOT_ALLOWED', 'the server does not allow this method on the requested resource', {});
}

export function alreadyExists(resource: ResourceName, name: string): ApiError {
  return new ApiError(
    'ERR_ALREADY_EXISTS',
    `${qualified(resource)} "${name}" already exists`,
    detailsOf(resource, name),
  );
}

/** The name is taken by an object that is being deleted. */
export function stillGoing(resource: ResourceName, name: string): ApiError {
  const { code, message, details } = alreadyExists(resource, name);
  return new ApiError(code, `object is being deleted: ${message}`, details);
}

export function conflict(resource: ResourceName, name: string, why: string): ApiError {
  return new ApiError(
    'ERR_CONFLICT',
    `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`,
    detailsOf(resource, name),
  );
}

/** The conflict of two writers who read the same version. */
export function staleVersion(resource: ResourceName, name: string): ApiError {
  const why = 'the object has been modified; please apply your changes to the latest version and try again';
  return conflict(resource, name, why);
}

/** `name` is empty for a whole collection. */
export function forbidden(
  resource: ResourceName,
  name: string,
  why: string,
  causes?: readonly StatusCause[],
): ApiError {
  const what = name === '' ? qualified(resource) : `${qualified(resource)} "${name}"`;
  const details = { ...detailsOf(resource, name), ...(causes === undefined ? {} : { causes }) };
  return new ApiError('ERR_FORBIDDEN', `${what} is forbidden: ${why}`, details);
}

/** One broken field; `message` is its own text without the field's name. */
export interface FieldError {
  readonly field: string;
  readonly reason:
    | 'FieldValueInvalid'
    | 'FieldValueRequired'
    | 'FieldValueForbidden'
    | 'FieldValueDuplicate'
    | 'FieldValueNotSupported'
    | 'FieldValueNotFound'
    | 'FieldValueTooLong';
  readonly message: string;
}

export function requiredField(field: string, message = ''): FieldError {
  return { field, reason: 'FieldValueRequired', message: `Required value${message === '' ? '' : `: ${message}`}` };
}

export function invalidField(field: string, value: unknown, message: string): FieldError {
  return invalidShown(field, JSON.stringify(value), message);
}

/** Where upstream shows the value otherwise than as JSON. */
export function invalidShown(field: string, shown: string, message: string): FieldError {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${shown}: ${message}` };
}

/** Texts as Go prints a list of them. */
export function goTexts(texts: readonly string[]): string {
  return `[]string{${texts.map((text) => JSON.stringify(text)).join(', ')}}`;
}

export function forbiddenField(field: string, message: string): FieldError {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${message}` };
}

export function duplicateField(field: string, value: unknown): FieldError {
  return { field, reason: 'FieldValueDuplicate', message: `Duplicate value: ${JSON.stringify(value)}` };
}

/** A value that is none of those that there are; upstream sorts them for some fields, for others it does not. */
export function unsupportedField(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((one) => JSON.stringify(one));
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${list.join(', ')}`;
  return { field, reason: 'FieldValueNotSupported', message };
}

/** A value that must be there and be one of a few. */
export function choiceErrors(field: string, value: string, choices: readonly string[]): FieldError[] {
  if (value === '') return [requiredField(field)];
  return choices.includes(value) ? [] : [unsupportedField(field, value, choices)];
}

/** An address of either family; upstream lets numbers begin with zeros. */
export function addressErrors(field: string, address: string): FieldError[] {
  if (isIP(address.replaceAll(/(?<=^|\.)0+(?=\d)/g, '')) !== 0) return [];
  return [invalidField(field, address, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
}

/** A reference to nothing. */
export function missingField(field: string, value: unknown): FieldError {
  return { field, reason: 'FieldValueNotFound', message: `Not found: ${JSON.stringify(value)}` };
}

export function tooLongField(field: string, bytes: number): FieldError {
  return { field, reason: 'FieldValueTooLong', message: `Too long: may not be more than ${bytes} bytes` };
}

/** No more faults of one object are told; upstream stops counting there where it decodes. */
export const MAX_FAULTS = 100;

/** The object breaks the rules of its fields: up to {@link MAX_FAULTS} of them in one answer. */
export function invalid(
  type: { readonly group: string; readonly kind: string },
  name: string,
  errors: readonly FieldError[],
): ApiError {
  const told = errors.slice(0, MAX_FAULTS);
  // Upstream says the same once.
  const texts = [...new Set(told.map(({ field, message }) => `${field}: ${message}`))];
  if (told.length < errors.length) texts.push(`and ${errors.length - told.length} more`);
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const kind = type.group === '' ? type.kind : `${type.kind}.${type.group}`;
  return new ApiError('ERR_INVALID', `${kind} "${name}" is invalid: ${list}`, {
    ...namedDetails(name),
    ...(type.group === '' ? {} : { group: type.group }),
    kind: type.kind,
    causes: told.map(({ reason, message, field }) => ({ reason, message, field })),
  });
}
