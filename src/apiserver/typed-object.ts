import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import { type FieldType, structOf } from './api-schema.ts';

/** A value of another type than its field has. Its texts are Go's, which people know from real clusters. */
export class TypeMismatch extends Error {
  /** As Go's conversion of a patched object says it. */
  readonly conversionText: string;

  constructor(jsonText: string, conversionText: string) {
    super(jsonText);
    this.conversionText = conversionText;
  }
}

export interface TypedObject {
  /** With the fields of its type alone, those that are null or empty lists left out. */
  readonly object: JsonObject;
  /** `unknown field "spec.foo"`, in order. */
  readonly unknownFields: readonly string[];
}

/** Upstream stops counting there. */
const MAX_UNKNOWN_FIELDS = 100;

/**
 * Reads a JSON value as an object of a type, as Go decodes it: what the type does not have is left out.
 *
 * @param type a struct of the API: `Pod`, `ObjectMeta` …
 * @throws TypeMismatch for the first value of another type than its field
 */
export function decodeTyped(value: unknown, type: string): TypedObject {
  const unknownFields: string[] = [];
  const reading: Reading = { unknownFields, struct: '', names: [] };
  const root: FieldType = { form: 'single', element: type, goElement: `v1.${type}` };
  const object = readElement(value, root, { ...reading, path: '' }) as JsonObject;
  return { object, unknownFields };
}

interface Reading {
  readonly unknownFields: string[];
  /** The struct whose field is read, and the names of the fields that lead there. */
  readonly struct: string;
  readonly names: readonly string[];
}

/** With the way to the value, `spec.containers[0]`, as strict decoding shows it. */
type Place = Reading & { readonly path: string };

function readValue(value: unknown, type: FieldType, place: Place): unknown {
  switch (type.form) {
    case 'single':
      return readElement(value, type, place);
    case 'list': {
      if (!Array.isArray(value)) throw mismatch(value, `[]${type.goElement}`, 'slice', place);
      // In Go a null element is a zero one.
      return value.map((one: unknown, at) =>
        one === null ? zeroOf(type) : readElement(one, type, { ...place, path: `${place.path}[${at}]` }),
      );
    }
    case 'map': {
      if (!isJsonObject(value)) throw mismatch(value, `map[string]${type.goElement}`, 'map', place);
      return Object.fromEntries(
        Object.entries(value).map(([key, one]) => [
          key,
          one === null ? zeroOf(type) : readElement(one, type, { ...place, path: `${place.path}.${key}` }),
        ]),
      );
    }
  }
}

function readElement(value: unknown, type: FieldType, place: Place): unknown {
  const struct = structOf(type.element);
  if (struct === undefined) return readScalar(value, type, place);
  if (!isJsonObject(value)) throw mismatch(value, type.goElement, 'struct', place);
  const read: [string, unknown][] = [];
  for (const [name, one] of Object.entries(value)) {
    const path = place.path === '' ? name : `${place.path}.${name}`;
    const field = struct.get(name);
    if (field === undefined) {
      if (place.unknownFields.length < MAX_UNKNOWN_FIELDS) {
        place.unknownFields.push(`unknown field ${JSON.stringify(path)}`);
      }
    } else if (one !== null && one !== undefined) {
      const names = [...place.names, name];
      const inner = readValue(one, field, { ...place, struct: type.element, names, path });
      if (!isEmptyCollection(inner, field)) read.push([name, inner]);
    }
  }
  return Object.fromEntries(read);
}

function isEmptyCollection(value: unknown, { form }: FieldType): boolean {
  return form === 'list'
    ? (value as unknown[]).length === 0
    : form === 'map' && Object.keys(value as object).length === 0;
}

const integerLimits: Readonly<Record<string, number>> = { int32: 2 ** 31, int64: 2 ** 63 };

const quantityRule = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?$/;
const timeRule = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)$/;

function readScalar(value: unknown, type: FieldType, place: Place): unknown {
  switch (type.element) {
    case 'string':
    case 'bytes':
      if (typeof value !== 'string')
        throw mismatch(value, type.element === 'bytes' ? '[]uint8' : type.goElement, 'string', place);
      return value;
    case 'bool':
      if (typeof value !== 'boolean') throw mismatch(value, 'bool', 'bool', place);
      return value;
    case 'int32':
    case 'int64': {
      const limit = integerLimits[type.element] ?? 0;
      if (typeof value !== 'number' || !Number.isInteger(value) || value >= limit || value < -limit) {
        throw mismatch(value, type.element, type.element, place);
      }
      return value;
    }
    case 'Time':
    case 'MicroTime':
      return readTime(value, type.element);
    case 'Quantity':
      if ((typeof value === 'string' || typeof value === 'number') && quantityRule.test(String(value)))
        return String(value);
      throw new TypeMismatch(QUANTITY_TEXT, QUANTITY_TEXT);
    case 'IntOrString':
      if (typeof value !== 'string' && !Number.isInteger(value))
        throw mismatch(value, 'intstr.IntOrString', 'int32', place);
      return value;
    default:
      // FieldsV1: anything.
      return value;
  }
}

const QUANTITY_TEXT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/** In UTC with whole seconds, or with microseconds; `''` is no time. */
function readTime(value: unknown, type: 'Time' | 'MicroTime'): string | undefined {
  if (value === '') return undefined;
  if (typeof value !== 'string') {
    const text = `json: cannot unmarshal ${jsonKind(value)} into Go value of type string`;
    throw new TypeMismatch(text, text);
  }
  const at = new Date(value.replace(',', '.'));
  if (!timeRule.test(value) || Number.isNaN(at.valueOf())) {
    const layout = type === 'Time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00';
    const text = `parsing time ${JSON.stringify(value)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(value)} as "2006"`;
    throw new TypeMismatch(text, text);
  }
  const seconds = at.toISOString().slice(0, 19);
  if (type === 'Time') return `${seconds}Z`;
  const fraction = /[.,](\d+)/.exec(value)?.[1] ?? '';
  return `${seconds}.${fraction.slice(0, 6).padEnd(6, '0')}Z`;
}

function zeroOf({ element }: FieldType): unknown {
  if (structOf(element) !== undefined || element === 'FieldsV1') return {};
  switch (element) {
    case 'bool':
      return false;
    case 'int32':
    case 'int64':
    case 'IntOrString':
      return 0;
    case 'Quantity':
      return '0';
    default:
      return '';
  }
}

function mismatch(value: unknown, goType: string, goKind: string, { struct, names }: Place): TypeMismatch {
  const kind = jsonKind(value);
  // A number of the wrong size or with a fraction is shown, for its kind alone says nothing.
  const shown = kind === 'number' && goKind.startsWith('int') ? `number ${JSON.stringify(value)}` : kind;
  const target =
    names.length === 0
      ? `Go value of type ${goType}`
      : `Go struct field ${struct}.${names.join('.')} of type ${goType}`;
  const source = {
    string: 'string',
    number: Number.isInteger(value) ? 'int64' : 'float64',
    bool: 'bool',
    array: 'slice',
    object: 'map',
    null: 'nil',
  }[kind];
  const conversion = ['struct', 'slice', 'map'].includes(goKind)
    ? `cannot restore ${goKind} from${goKind === 'struct' ? ':' : ''} ${source}`
    : `cannot convert ${source} to ${goKind}`;
  return new TypeMismatch(`json: cannot unmarshal ${shown} into ${target}`, conversion);
}

function jsonKind(value: unknown): 'string' | 'number' | 'bool' | 'array' | 'object' | 'null' {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'number':
      return 'number';
    case 'boolean':
      return 'bool';
    default:
      return 'object';
  }
}
