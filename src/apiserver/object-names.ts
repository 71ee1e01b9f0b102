import { type FieldError, invalidField, requiredField } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
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
