import { badRequest, type FieldError, invalidField, requiredField } from './api-error.ts';
import { type ApiObject, isJsonObject } from './api-object.ts';
import { isLabelValue, isQualifiedName } from './label-selector.ts';

const dnsLabel = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const dnsSubdomain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** All annotations of an object together, in characters of keys and values. */
const MAX_ANNOTATION_CHARS = 256 * 1024;

/** The longest random suffix is this long; names made from `generateName` are cut so that it fits. */
const GENERATED_CHARS = 5;

/** Without vowels and look-alikes, so that no word comes out. */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** RFC 1123: what a container, a namespace or a host may be called. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && dnsLabel.test(text);
}

/** Labels joined by dots: what most objects may be called. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && dnsSubdomain.test(text);
}

/** A name that begins with `prefix`; unlikely, not certain, to be new. */
export function generateName(prefix: string, maxChars: number): string {
  const random = crypto.getRandomValues(new Uint8Array(GENERATED_CHARS));
  const suffix = [...random].map((byte) => suffixAlphabet[byte % suffixAlphabet.length]).join('');
  return prefix.slice(0, maxChars - GENERATED_CHARS) + suffix;
}

/**
 * Checks that the metadata of what was sent has the types that the rest of the code takes for granted.
 *
 * @throws ExecPathError ERR_BAD_REQUEST
 */
export function checkMetadataShape(object: unknown): asserts object is ApiObject {
  if (!isJsonObject(object)) throw badRequest('the body must be a JSON object');
  const { metadata } = object;
  if (!isJsonObject(metadata)) throw badRequest('metadata must be an object');
  for (const field of ['name', 'generateName', 'namespace', 'uid', 'resourceVersion']) {
    const value = metadata[field];
    if (value !== undefined && typeof value !== 'string') throw badRequest(`metadata.${field} must be a string`);
  }
  for (const field of ['labels', 'annotations']) {
    const value = metadata[field] ?? {};
    const isMap = isJsonObject(value) && Object.values(value).every((one) => typeof one === 'string');
    if (!isMap) throw badRequest(`metadata.${field} must be an object of strings`);
  }
  const finalizers = metadata['finalizers'] ?? [];
  if (!Array.isArray(finalizers) || !finalizers.every((one) => typeof one === 'string')) {
    throw badRequest('metadata.finalizers must be a list of strings');
  }
  const owners = metadata['ownerReferences'] ?? [];
  if (!Array.isArray(owners) || !owners.every(isJsonObject)) {
    throw badRequest('metadata.ownerReferences must be a list of objects');
  }
}

/** What is wrong with names, labels and annotations. */
export function metadataErrors(object: ApiObject, isNamedByLabel: boolean): FieldError[] {
  const { name, labels = {}, annotations = {} } = object.metadata;
  const errors: FieldError[] = [];
  if (name === '') errors.push(requiredField('metadata.name', 'name or generateName is required'));
  else if (isNamedByLabel && !isDnsLabel(name)) {
    errors.push(invalidField('metadata.name', name, 'must be a lowercase RFC 1123 label of at most 63 characters'));
  } else if (!isNamedByLabel && !isDnsSubdomain(name)) {
    errors.push(
      invalidField('metadata.name', name, 'must be a lowercase RFC 1123 subdomain of at most 253 characters'),
    );
  }
  for (const [key, value] of Object.entries(labels)) {
    if (!isQualifiedName(key)) errors.push(invalidField('metadata.labels', key, 'is not a label key'));
    if (!isLabelValue(value)) errors.push(invalidField('metadata.labels', value, 'is not a label value'));
  }
  for (const key of Object.keys(annotations)) {
    if (!isQualifiedName(key.toLowerCase())) {
      errors.push(invalidField('metadata.annotations', key, 'is not an annotation key'));
    }
  }
  const chars = Object.entries(annotations).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  if (chars > MAX_ANNOTATION_CHARS) {
    errors.push(invalidField('metadata.annotations', chars, `must have at most ${MAX_ANNOTATION_CHARS} characters`));
  }
  return errors;
}
