import { apiEnums, apiTypes, reviewTypes } from './api-types.ts';

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
  /** The fields that tell one object of the list from another; none: it is no map. */
  readonly mapKeys: readonly string[];
  /** A patch may name the fields of the list's objects that stay. */
  readonly retainsKeys: boolean;
  /** A list or a map that is written as a whole, whatever a patch may do with it. */
  readonly isAtomic: boolean;
  /** What stands there when nothing is sent, where that is not nothing. */
  readonly default: unknown;
}

/** The fields of one type by name, in the order of the alphabet. */
export type Struct = ReadonlyMap<string, SchemaField>;

/** What holds of a struct as a whole. */
export interface StructTraits {
  /** It is written as a whole. */
  readonly isAtomic: boolean;
  /** The field that tells which one of the others is there. */
  readonly discriminator: string | undefined;
}

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
  'ExtraValue',
];

/** @returns undefined for a scalar */
export function structOf(type: string): Struct | undefined {
  return structs.get(type) ?? reviewStructs.get(type);
}

/** @returns undefined for a struct of which nothing holds but its fields */
export function traitsOf(type: string): StructTraits | undefined {
  return traits.get(type);
}

/** The values that a text may have, in the order of the alphabet. @returns undefined for a text that may be any */
export function valuesOf({ goElement }: FieldType): readonly string[] | undefined {
  return enums.get(goElement);
}

const zeros: Readonly<Record<string, unknown>> = { string: '', bool: false, int32: 0, int64: 0 };

const fieldRule =
  /^(?<name>\w+)(?<must>!?):(?<form>\[\]|\{\})?(?<type>\w+)(?:\/(?<go>[\w.]+))?(?<merge>[@#])?(?<keys>[\w*,]+)?(?:\+(?<mark>retain|atomic))?(?:=(?<given>.*))?$/;

const paragraphs = paragraphsOf(apiTypes);

/** Every struct by name: what OpenAPI lists. */
export const structs: ReadonlyMap<string, Struct> = new Map(paragraphs.map(readType));

const reviewStructs: ReadonlyMap<string, Struct> = new Map(paragraphsOf(reviewTypes).map(readType));

const traits: ReadonlyMap<string, StructTraits> = new Map(paragraphs.flatMap(readTraits));

const enums: ReadonlyMap<string, readonly string[]> = new Map(
  apiEnums
    .trim()
    .split('\n')
    .map((line) => {
      const [head = '', ...values] = line.split(' ');
      return [head.slice(0, -1), values.map((value) => (value === '""' ? '' : value))];
    }),
);

/** One type each. */
export function paragraphsOf(facts: string): string[] {
  return facts.trim().split(/\n(?=\w)/);
}

function readType(paragraph: string): [string, Struct] {
  const [head = '', ...words] = paragraph.split(/\s+/);
  return [/^\w+/.exec(head)?.[0] ?? '', new Map(words.map(readField).map((field) => [field.name, field]))];
}

function readTraits(paragraph: string): [string, StructTraits][] {
  const [, name = '', atomic, discriminator] = /^(\w+)(?:(\+atomic)|\+union@(\w+)):/.exec(paragraph) ?? [];
  return name === '' ? [] : [[name, { isAtomic: atomic !== undefined, discriminator }]];
}

/** What Go has where nothing was sent. @returns undefined where that is nothing */
export function zeroScalarOf(element: string): unknown {
  return zeros[element];
}

function readField(word: string): SchemaField {
  const { name = '', must, form, type = '', go, merge, keys = '', mark, given } = fieldRule.exec(word)?.groups ?? {};
  const isScalar = scalars.includes(type);
  const keyList = keys === '' || keys === '*' || mark === 'atomic' ? [] : keys.split(',');
  return {
    name,
    required: must === '!',
    form: form === '[]' ? 'list' : form === '{}' ? 'map' : 'single',
    element: type,
    goElement: go ?? (isScalar ? type : `v1.${type}`),
    mergeKey: merge === '@' ? keys.split(',')[0] : undefined,
    mapKeys: keyList,
    retainsKeys: mark === 'retain',
    isAtomic: mark === 'atomic' || (form === '[]' && keys === ''),
    default:
      given === undefined
        ? must === '!' && form === undefined
          ? zeroScalarOf(type)
          : undefined
        : readDefault(given, type),
  };
}

function readDefault(text: string, type: string): unknown {
  if (text === '{}') return {};
  return type === 'bool' ? text === 'true' : text;
}
