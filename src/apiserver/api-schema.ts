import { apiTypes } from './api-types.ts';

/** What one JSON value is in the API. */
export interface FieldType {
  /** `single`: the element itself. */
  readonly form: 'single' | 'list' | 'map';
  /** A scalar, or the name of a struct. */
  readonly element: string;
  /** What Go calls the element, for texts: `v1.RestartPolicy`, `int32`. */
  readonly goElement: string;
}

export interface SchemaField extends FieldType {
  readonly name: string;
  readonly required: boolean;
  /** How a strategic merge patch merges the list: by this field of its objects; `*`: a list of plain values, united. */
  readonly mergeKey: string | undefined;
}

/** The fields of one type by name, in the order of the alphabet. */
export type Struct = ReadonlyMap<string, SchemaField>;

const scalars = [
  'string',
  'bool',
  'int32',
  'int64',
  'bytes',
  'Time',
  'MicroTime',
  'Quantity',
  'IntOrString',
  'FieldsV1',
];

/** @returns undefined for a scalar */
export function structOf(type: string): Struct | undefined {
  return structs.get(type);
}

/** Every struct by name: what OpenAPI lists. */
export const structs: ReadonlyMap<string, Struct> = readTypes(apiTypes);

function readTypes(text: string): ReadonlyMap<string, Struct> {
  const types = text.trim().split(/\n(?=\w)/);
  return new Map(
    types.map((line) => {
      const [head = '', ...words] = line.split(/\s+/);
      return [head.slice(0, -1), new Map(words.map(readField).map((field) => [field.name, field]))];
    }),
  );
}

function readField(word: string): SchemaField {
  const [, name = '', mark, list, type = '', go, mergeKey] =
    /^(\w+)(!?):(\[\]|\{\})?(\w+)(?:\/([\w.]+))?(?:@([\w*]+))?(?:\+retain)?$/.exec(word) ?? [];
  const isScalar = scalars.includes(type);
  return {
    name,
    required: mark === '!',
    form: list === '[]' ? 'list' : list === '{}' ? 'map' : 'single',
    element: type,
    goElement: go ?? (isScalar ? type : `v1.${type}`),
    mergeKey,
  };
}
