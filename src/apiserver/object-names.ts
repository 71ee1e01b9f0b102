import { type FieldError, goTexts, invalidField, invalidShown, requiredField, tooLongField } from './api-error.ts';
import type { ApiObject } from './api-object.ts';

const dnsLabel = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const dnsSubdomain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** All annotations of an object together, in bytes of keys and values. */
const MAX_ANNOTATION_BYTES = 256 * 1024;

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

const LABEL_FORM = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const KEY_FORM = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';

/** Upstream's words for a name that is no DNS label; none for one that is. */
export function dnsLabelFaults(text: string): string[] {
  return [
    ...(text.length > 63 ? ['must be no more than 63 characters'] : []),
    ...(dnsLabel.test(text)
      ? []
      : dnsSubdomain.test(text)
        ? ['must not contain dots']
        : [
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and " +
              `end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${LABEL_FORM}')`,
          ]),
  ];
}

/** Upstream's words for a name that is no DNS subdomain. */
export function dnsSubdomainFaults(text: string): string[] {
  return [
    ...(text.length > 253 ? ['must be no more than 253 characters'] : []),
    ...(dnsSubdomain.test(text)
      ? []
      : [
          "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must " +
            "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
            String.raw`'${LABEL_FORM}(\.${LABEL_FORM})*')`,
        ]),
  ];
}

const qualifiedName =
  /^(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const labelValue = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** The longest name part of a key, and the longest value. */
const MAX_LABEL_CHARS = 63;

/** True for what may be a label's key: a name, with a DNS prefix and `/` before it or without. */
export function isQualifiedName(text: string): boolean {
  const name = text.slice(text.indexOf('/') + 1);
  return qualifiedName.test(text) && name.length <= MAX_LABEL_CHARS && text.length - name.length <= 254;
}

/** True for what may be a label's value; the empty string is one. */
export function isLabelValue(text: string): boolean {
  return labelValue.test(text) && text.length <= MAX_LABEL_CHARS;
}

/** Upstream's words for what cannot be the key of a label. */
export function qualifiedNameFaults(text: string): string[] {
  if (isQualifiedName(text)) return [];
  const rule =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " +
    `(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${KEY_FORM}')`;
  const [prefix, name, ...more] = text.includes('/') ? text.split('/') : [undefined, text];
  if (more.length > 0) {
    return [`a qualified name ${rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const faults: string[] = [];
  if (prefix === '') faults.push('prefix part must be non-empty');
  else if (prefix !== undefined) faults.push(...dnsSubdomainFaults(prefix).map((fault) => `prefix part ${fault}`));
  if (name === undefined || name === '') faults.push('name part must be non-empty');
  else if (name.length > 63) faults.push('name part must be no more than 63 characters');
  if (!isQualifiedName(name ?? '')) faults.push(`name part ${rule}`);
  return faults;
}

/** Upstream's words for what cannot be the value of a label. */
export function labelValueFaults(text: string): string[] {
  if (isLabelValue(text)) return [];
  if (text.length > 63 && isLabelValue(text.slice(0, 63))) return ['must be no more than 63 characters'];
  return [
    ...(text.length > 63 ? ['must be no more than 63 characters'] : []),
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and " +
      "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is " +
      `'(${KEY_FORM})?')`,
  ];
}

/** One {@link invalidField} for each fault of a value. */
export function faultsOf(field: string, value: string, faults: readonly string[]): FieldError[] {
  return faults.map((fault) => invalidField(field, value, fault));
}

/** What is wrong with a map of labels. */
export function labelErrors(field: string, labels: Readonly<Record<string, string>>): FieldError[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...faultsOf(field, key, qualifiedNameFaults(key)),
    ...faultsOf(field, value, labelValueFaults(value)),
  ]);
}

/** Finalizers that upstream's own controllers take away. */
const standardFinalizers = ['kubernetes', 'orphan', 'foregroundDeletion'];

/** How the names of a kind are judged. */
export interface NameRules {
  /** Names must be a DNS label instead of a DNS subdomain. */
  readonly isNamedByLabel: boolean;
  /** Finalizers must have a domain, or be upstream's: a rule of the core group. */
  readonly isCore: boolean;
}

/** What is wrong with names, labels, annotations, owners and finalizers, in upstream's words and order. */
export function metadataErrors(object: ApiObject, { isNamedByLabel, isCore }: NameRules): FieldError[] {
  const { name, generateName: prefix = '', labels = {}, annotations = {} } = object.metadata;
  const { finalizers = [], ownerReferences = [] } = object.metadata;
  const nameFaults = isNamedByLabel ? dnsLabelFaults : dnsSubdomainFaults;
  const errors: FieldError[] = [];
  if (prefix !== '') errors.push(...faultsOf('metadata.generateName', prefix, nameFaults(withoutDash(prefix))));
  if (name === '') errors.push(requiredField('metadata.name', 'name or generateName is required'));
  else errors.push(...faultsOf('metadata.name', name, nameFaults(name)));
  errors.push(...labelErrors('metadata.labels', labels));
  for (const key of Object.keys(annotations)) {
    errors.push(...faultsOf('metadata.annotations', key, qualifiedNameFaults(key.toLowerCase())));
  }
  const bytes = Object.entries(annotations)
    .flat()
    .reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes > MAX_ANNOTATION_BYTES) errors.push(tooLongField('metadata.annotations', MAX_ANNOTATION_BYTES));
  errors.push(...ownerErrors(ownerReferences));
  return [...errors, ...finalizerErrors(finalizers, isCore)];
}

/** A prefix may end with a dash, for more comes behind it. Upstream takes the character before it away too. */
function withoutDash(prefix: string): string {
  return prefix.length > 1 && prefix.endsWith('-') ? `${prefix.slice(0, -2)}a` : prefix;
}

type Owners = NonNullable<ApiObject['metadata']['ownerReferences']>;

/** @see kubernetes/apimachinery pkg/api/validation, ValidateOwnerReferences */
function ownerErrors(owners: Owners): FieldError[] {
  const field = 'metadata.ownerReferences';
  const errors: FieldError[] = [];
  let controller: string | undefined;
  for (const { apiVersion = '', kind = '', name = '', uid = '', controller: isController } of owners) {
    // A version that cannot be read counts as none.
    const [, version = ''] = /^(?:[^/]*\/)?([^/]+)$/.exec(apiVersion) ?? [];
    if (version === '') errors.push(invalidField(`${field}.apiVersion`, apiVersion, 'version must not be empty'));
    for (const [key, value] of Object.entries({ kind, name, uid })) {
      if (value === '') errors.push(invalidField(`${field}.${key}`, '', `${key} must not be empty`));
    }
    if (isController !== true) continue;
    const text = `${kind}/${name}`;
    if (controller === undefined) controller = text;
    else {
      const found = `Found "true" in references for ${controller} and ${text}`;
      // There upstream prints the owners as Go source with addresses in memory: the rule alone is its own.
      errors.push(invalidField(field, owners, `Only one reference can have Controller set to true. ${found}`));
    }
  }
  return errors;
}

function finalizerErrors(finalizers: readonly string[], isCore: boolean): FieldError[] {
  const field = 'metadata.finalizers';
  const bare = 'name is neither a standard finalizer name nor is it fully qualified';
  return [
    ...finalizers.flatMap((one) => faultsOf(field, one, qualifiedNameFaults(one))),
    ...(finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')
      ? [invalidShown(field, goTexts(finalizers), 'finalizer orphan and foregroundDeletion cannot be both set')]
      : []),
    ...finalizers.flatMap((one, at) =>
      !isCore || one.includes('/') || standardFinalizers.includes(one)
        ? []
        : [invalidField(`${field}[${at}]`, one, bare)],
    ),
  ];
}
