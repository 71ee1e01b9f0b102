import { descriptionOf } from './api-descriptions.ts';
import { type FieldType, type SchemaField, structOf, structs } from './api-schema.ts';

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
  readonly [extension: `x-kubernetes-${string}`]: unknown;
}

/** Which objects a kind of which group has. */
export interface ServedKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** A reference to a schema by its full name, in the format's way. */
type Refer = (name: string) => OpenApiSchema;

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

const plainScalars: Readonly<Record<string, OpenApiSchema>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  bytes: { type: 'string', format: 'byte' },
};

/**
 * The schemas of kinds and of all that they consist of, by full name.
 *
 * @param refer how the format refers to another schema
 */
export function schemasOf(kinds: readonly ServedKind[], refer: Refer): Readonly<Record<string, OpenApiSchema>> {
  const found = new Map<string, OpenApiSchema>();
  const add = (type: string): void => {
    const name = fullNameOf(type);
    const struct = structOf(type);
    const scalar = namedScalars[type];
    if (found.has(name) || (struct === undefined && scalar === undefined)) return;
    if (scalar !== undefined) {
      found.set(name, scalar);
      return;
    }
    const served = kinds.filter(({ kind }) => kind === type);
    found.set(
      name,
      structSchema(type, served, (other) => refer(fullNameOf(other))),
    );
    for (const { element } of struct?.values() ?? []) add(element);
  };
  for (const { kind } of kinds) add(kind);
  return Object.fromEntries([...found].sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** True for a kind whose fields are known. */
export function isDescribed(kind: string): boolean {
  return structs.has(kind);
}

function structSchema(type: string, served: readonly ServedKind[], refer: Refer): OpenApiSchema {
  const fields = [...(structOf(type)?.values() ?? [])];
  const required = fields.filter((field) => field.required).map(({ name }) => name);
  return {
    description: descriptionOf(type) ?? '',
    type: 'object',
    ...(fields.length === 0
      ? {}
      : { properties: Object.fromEntries(fields.map((field) => [field.name, fieldSchema(type, field, refer)])) }),
    ...(required.length === 0 ? {} : { required }),
    ...(served.length === 0
      ? {}
      : { 'x-kubernetes-group-version-kind': served.map(({ group, kind, version }) => ({ group, kind, version })) }),
  };
}

function fieldSchema(type: string, field: SchemaField, refer: Refer): OpenApiSchema {
  const description = descriptionOf(`${type}.${field.name}`) ?? '';
  const { mergeKey } = field;
  return {
    description,
    ...valueSchema(field, refer),
    ...(mergeKey === undefined ? {} : { 'x-kubernetes-patch-strategy': 'merge' }),
    ...(mergeKey === undefined || mergeKey === '*' ? {} : { 'x-kubernetes-patch-merge-key': mergeKey }),
  };
}

function valueSchema({ form, element }: FieldType, refer: Refer): OpenApiSchema {
  const schema = plainScalars[element] ?? refer(element);
  switch (form) {
    case 'single':
      return schema;
    case 'list':
      return { type: 'array', items: schema };
    case 'map':
      return { type: 'object', additionalProperties: schema };
  }
}
