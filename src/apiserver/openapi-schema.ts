import { descriptionOf } from './api-descriptions.ts';
import { type SchemaField, structOf, structs, traitsOf, valuesOf, zeroScalarOf } from './api-schema.ts';

/** An OpenAPI schema, as much of one as the two versions of the format share. */
export interface OpenApiSchema {
  readonly $ref?: string;
  readonly description?: string;
  readonly type?: string;
  readonly format?: string;
  readonly items?: OpenApiSchema;
  readonly properties?: Readonly<Record<string, OpenApiSchema>>;
  readonly additionalProperties?: OpenApiSchema;
  readonly required?: readonly string[];
  readonly allOf?: readonly OpenApiSchema[];
  readonly oneOf?: readonly OpenApiSchema[];
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly [extension: `x-kubernetes-${string}`]: unknown;
}

/** Which objects a kind of which group has. */
export interface ServedKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** In what the two versions of the format differ. */
export interface SchemaFormat {
  /** Where schemas stand: `#/definitions/`. */
  readonly folder: string;
  /** Version 3: defaults are said, and a type may be one of several. */
  readonly isRich: boolean;
}

const metaTypes = [
  'ObjectMeta',
  'OwnerReference',
  'ManagedFieldsEntry',
  'LabelSelector',
  'LabelSelectorRequirement',
  'DeleteOptions',
  'Preconditions',
  'Time',
  'MicroTime',
  'FieldsV1',
];

const groupPackages: Readonly<Record<string, string>> = {
  Lease: 'coordination',
  LeaseSpec: 'coordination',
  CSINode: 'storage',
  CSINodeSpec: 'storage',
  CSINodeDriver: 'storage',
  VolumeNodeResources: 'storage',
  Eviction: 'policy',
};

/** Upstream's name of a type: clients look kinds up by their group, version and kind, people read the last word. */
function fullNameOf(type: string): string {
  if (metaTypes.includes(type)) return `io.k8s.apimachinery.pkg.apis.meta.v1.${type}`;
  if (type === 'Quantity') return 'io.k8s.apimachinery.pkg.api.resource.Quantity';
  if (type === 'IntOrString') return 'io.k8s.apimachinery.pkg.util.intstr.IntOrString';
  return `io.k8s.api.${groupPackages[type] ?? 'core'}.v1.${type}`;
}

/** Types that Go has as structs and JSON as something simpler. */
const namedScalars: Readonly<Record<string, OpenApiSchema>> = {
  Time: { type: 'string', format: 'date-time', description: 'RFC 3339 in whole seconds.' },
  MicroTime: { type: 'string', format: 'date-time', description: 'RFC 3339 with microseconds.' },
  Quantity: { type: 'string', description: 'An amount such as 500m, 2Gi or 1e3.' },
  IntOrString: { type: 'string', format: 'int-or-string', description: 'A number or a name.' },
  FieldsV1: { type: 'object', description: 'A set of fields.' },
};

/** Those of them that JSON has as one of two types. */
const eitherOf: Readonly<Record<string, readonly string[]>> = {
  Quantity: ['string', 'number'],
  IntOrString: ['integer', 'string'],
};

const plainScalars: Readonly<Record<string, OpenApiSchema>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  bytes: { type: 'string', format: 'byte' },
};

/** The schemas of kinds and of all that they consist of, by full name. */
export function schemasOf(kinds: readonly ServedKind[], format: SchemaFormat): Readonly<Record<string, OpenApiSchema>> {
  const found = new Map<string, OpenApiSchema>();
  const add = (type: string): void => {
    const name = fullNameOf(type);
    const struct = structOf(type);
    if (found.has(name) || (struct === undefined && namedScalars[type] === undefined)) return;
    if (struct === undefined) {
      found.set(name, namedScalarSchema(type, format));
      return;
    }
    const served = kinds.filter(({ kind }) => kind === type);
    found.set(name, structSchema(type, served, format));
    for (const { element } of struct.values()) add(element);
  };
  for (const { kind } of kinds) add(kind);
  return Object.fromEntries([...found].sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** True for a kind whose fields are known. */
export function isDescribed(kind: string): boolean {
  return structs.has(kind);
}

function namedScalarSchema(type: string, { isRich }: SchemaFormat): OpenApiSchema {
  const { type: plain, ...schema } = namedScalars[type] ?? {};
  const types = isRich ? eitherOf[type] : undefined;
  if (types !== undefined) return { ...schema, oneOf: types.map((one) => ({ type: one })) };
  return plain === undefined ? schema : { ...schema, type: plain };
}

function structSchema(type: string, served: readonly ServedKind[], format: SchemaFormat): OpenApiSchema {
  const fields = [...(structOf(type)?.values() ?? [])];
  const required = fields.filter((field) => field.required).map(({ name }) => name);
  const { isAtomic = false, discriminator } = traitsOf(type) ?? {};
  const others = fields.filter(({ name }) => name !== discriminator).map(({ name }) => [name, goNameOf(name)]);
  const union = { discriminator, 'fields-to-discriminateBy': Object.fromEntries(others) };
  return {
    description: descriptionOf(type) ?? '',
    type: 'object',
    ...(fields.length === 0
      ? {}
      : { properties: Object.fromEntries(fields.map((field) => [field.name, fieldSchema(type, field, format)])) }),
    ...(required.length === 0 ? {} : { required }),
    ...(isAtomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    ...(discriminator === undefined ? {} : { 'x-kubernetes-unions': [union] }),
    ...(served.length === 0
      ? {}
      : { 'x-kubernetes-group-version-kind': served.map(({ group, kind, version }) => ({ group, kind, version })) }),
  };
}

function goNameOf(field: string): string {
  return field.slice(0, 1).toUpperCase() + field.slice(1);
}

function fieldSchema(type: string, field: SchemaField, format: SchemaFormat): OpenApiSchema {
  const description = descriptionOf(`${type}.${field.name}`) ?? '';
  return { description, ...valueSchema(field, format), ...writingOf(field) };
}

function valueSchema(field: SchemaField, format: SchemaFormat): OpenApiSchema {
  if (field.form === 'single') return elementSchema(field, field.default, format);
  // In Go what stands in a list or a map is never nothing.
  const fallback = structOf(field.element) === undefined ? zeroScalarOf(field.element) : {};
  const schema = elementSchema(field, fallback, format);
  return field.form === 'list' ? { type: 'array', items: schema } : { type: 'object', additionalProperties: schema };
}

function elementSchema(field: SchemaField, fallback: unknown, { folder, isRich }: SchemaFormat): OpenApiSchema {
  const values = valuesOf(field);
  const given = isRich && fallback !== undefined ? { default: fallback } : {};
  const plain = plainScalars[field.element];
  if (plain !== undefined) return { ...plain, ...given, ...(values === undefined ? {} : { enum: values }) };
  const reference = { $ref: `${folder}${fullNameOf(field.element)}` };
  // Version 3 takes no other word beside a reference.
  const isAlone = field.form !== 'single' && !('default' in given);
  return isRich && !isAlone ? { ...given, allOf: [reference] } : reference;
}

/** How lists and maps are written, and patched. */
function writingOf(field: SchemaField): OpenApiSchema {
  const { form, mapKeys, mergeKey, isAtomic, retainsKeys } = field;
  const listType = isAtomic ? 'atomic' : mapKeys.length === 0 ? 'set' : 'map';
  return {
    ...(form === 'map' && isAtomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    ...(form === 'list' && mapKeys.length > 0 ? { 'x-kubernetes-list-map-keys': mapKeys } : {}),
    ...(form === 'list' ? { 'x-kubernetes-list-type': listType } : {}),
    ...(mergeKey === undefined || mergeKey === '*' ? {} : { 'x-kubernetes-patch-merge-key': mergeKey }),
    ...(mergeKey === undefined ? {} : { 'x-kubernetes-patch-strategy': retainsKeys ? 'merge,retainKeys' : 'merge' }),
  };
}
