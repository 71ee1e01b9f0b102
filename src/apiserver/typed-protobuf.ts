import type { JsonObject } from '../common/json-object.ts';
import { apiFieldNumbers } from './api-field-numbers.ts';
import { paragraphsOf, type SchemaField, type Struct, structOf } from './api-schema.ts';
import {
  brokenProtobuf,
  bytesOf,
  lastField,
  type ProtobufField,
  packedVarints,
  protobufFields,
  textAt,
  textOf,
} from './protobuf-message.ts';

/** What a number means in a message. */
interface NumberedField {
  /** A field, or the type of a message whose fields JSON has in the object itself. */
  readonly name: string;
  readonly isInlined: boolean;
  /** A zero value is told even where the field may be missing. */
  readonly tellsZero: boolean;
}

const numbers: ReadonlyMap<string, ReadonlyMap<number, NumberedField>> = new Map(
  paragraphsOf(apiFieldNumbers).map((paragraph) => {
    const [head = '', ...words] = paragraph.split(/\s+/);
    return [head.slice(0, -1), new Map(words.map(readNumber))];
  }),
);

function readNumber(word: string): [number, NumberedField] {
  const [, inlined, name = '', number, zero] = /^(\*)?(\w+)=(\d+)(\?)?$/.exec(word) ?? [];
  return [Number(number), { name, isInlined: inlined !== undefined, tellsZero: zero !== undefined }];
}

/** What a message has for one field of its struct. */
interface Found {
  readonly field: SchemaField;
  readonly tellsZero: boolean;
  /** Of a list. */
  readonly items: unknown[];
  /** Of a map. */
  readonly entries: [string, unknown][];
  /** Of what is single: more than one where a message comes in parts. */
  readonly parts: ProtobufField[];
}

/**
 * Reads a protobuf message into the JSON form of its type, as Go writes it: fields that the type does not have are
 * dropped, and so is a zero value of a field that JSON leaves out then.
 *
 * @param type a struct of the API with numbers: `Pod`, `ObjectMeta` …
 * @throws ExecPathError ERR_BAD_REQUEST for broken bytes and for a field of another wire type than its own
 */
export function decodeProtobufTyped(message: Uint8Array, type: string): JsonObject {
  const found = new Map<string, Found>();
  collect(message, { type, struct: structOf(type) ?? new Map() }, found);
  const read: [string, unknown][] = [];
  for (const one of found.values()) {
    const value = valueOf(one);
    if (value !== undefined) read.push([one.field.name, value]);
  }
  return Object.fromEntries(read);
}

/** The type of an inlined message has numbers alone: its fields are those of the struct that it stands in. */
function collect(
  message: Uint8Array,
  { type, struct }: { readonly type: string; readonly struct: Struct },
  found: Map<string, Found>,
): void {
  for (const sent of protobufFields(message)) {
    const numbered = numbers.get(type)?.get(sent.number);
    if (numbered === undefined) continue;
    const { name, isInlined, tellsZero } = numbered;
    if (isInlined) {
      collect(bytesOf(sent), { type: name, struct }, found);
      continue;
    }
    const field = struct.get(name);
    if (field === undefined) continue;
    let one = found.get(name);
    if (one === undefined) {
      one = { field, tellsZero: tellsZero || field.required, items: [], entries: [], parts: [] };
      found.set(name, one);
    }
    add(sent, one);
  }
}

function add(sent: ProtobufField, { field: { form, element }, items, entries, parts }: Found): void {
  switch (form) {
    case 'list': {
      const isPacked = sent.wire === 'bytes' && (element === 'int32' || element === 'int64');
      if (!isPacked) items.push(readElement(sent, element));
      else for (const value of packedVarints(sent.value)) items.push(integerOf(value, element));
      break;
    }
    case 'map':
      entries.push(readEntry(sent, element));
      break;
    case 'single':
      parts.push(sent);
  }
}

/** @returns undefined for what JSON does not tell */
function valueOf({ field: { form, element }, tellsZero, items, entries, parts }: Found): unknown {
  switch (form) {
    case 'list':
      return items;
    case 'map':
      return Object.fromEntries(entries);
    case 'single': {
      const value = structOf(element) === undefined ? readLast(parts, element) : readParts(parts, element);
      return tellsZero || (value !== '' && value !== 0 && value !== false) ? value : undefined;
    }
  }
}

/** A map is a list of messages with the key in field 1 and the value in field 2, which is missing when it is zero. */
function readEntry(sent: ProtobufField, element: string): [string, unknown] {
  const entry = bytesOf(sent);
  const value = lastField(entry, 2) ?? { number: 2, wire: 'bytes', value: new Uint8Array() };
  return [textAt(entry, 1), readElement(value, element)];
}

function readLast(parts: readonly ProtobufField[], element: string): unknown {
  const one = parts.at(-1);
  return one === undefined ? undefined : readElement(one, element);
}

/** A message that comes twice is merged: the same as one with the bytes of both. */
function readParts(parts: readonly ProtobufField[], element: string): JsonObject {
  const [first = new Uint8Array(), ...more] = parts.map(bytesOf);
  return decodeProtobufTyped(more.length === 0 ? first : Buffer.concat([first, ...more]), element);
}

/** @returns undefined for a time that is none, and for fields that nobody manages */
function readElement(sent: ProtobufField, element: string): unknown {
  switch (element) {
    case 'bool':
      return varintOf(sent) !== 0n;
    case 'int32':
    case 'int64':
      return integerOf(varintOf(sent), element);
    default:
  }
  const bytes = bytesOf(sent);
  switch (element) {
    case 'string':
      return textOf(bytes);
    case 'bytes':
      return Buffer.from(bytes).toString('base64');
    case 'Time':
    case 'MicroTime':
      return readTime(bytes, element);
    case 'Quantity':
      return textAt(bytes, 1);
    case 'IntOrString':
      return numberAt(bytes, 1) === 0 ? numberAt(bytes, 2) : textAt(bytes, 3);
    case 'FieldsV1':
      return readFieldsV1(bytes);
    case 'ExtraValue':
      return [...protobufFields(bytes)].filter(({ number }) => number === 1).map((one) => textOf(bytesOf(one)));
    default:
      return decodeProtobufTyped(bytes, element);
  }
}

/** What Go takes for no time: the beginning of the year 1, in seconds. */
const ZERO_TIME = -62_135_596_800;
/** The end of the year 9999, in seconds: later ones cannot be written. */
const LAST_TIME = 253_402_300_799;

/** Of a `Time` nanoseconds are not read, for JSON would lose them; a `MicroTime` has six digits of them. */
function readTime(bytes: Uint8Array, type: 'Time' | 'MicroTime'): string | undefined {
  if (bytes.length === 0) return undefined;
  const seconds = numberAt(bytes, 1, 'int64');
  const nanos = type === 'Time' ? 0 : numberAt(bytes, 2);
  if (seconds === ZERO_TIME && nanos === 0) return undefined;
  if (seconds < ZERO_TIME || seconds > LAST_TIME || nanos < 0 || nanos >= 1e9) {
    throw brokenProtobuf(`a time has ${seconds} seconds and ${nanos} nanoseconds`);
  }
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  const micros = String(Math.floor(nanos / 1000)).padStart(6, '0');
  return type === 'Time' ? `${whole}Z` : `${whole}.${micros}Z`;
}

/** JSON in field 1. */
function readFieldsV1(bytes: Uint8Array): unknown {
  const text = textAt(bytes, 1);
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw brokenProtobuf('managed fields are not JSON');
  }
}

function numberAt(message: Uint8Array, number: number, type = 'int32'): number {
  const field = lastField(message, number);
  return field === undefined ? 0 : integerOf(varintOf(field), type);
}

function integerOf(value: bigint, type: string): number {
  return Number(BigInt.asIntN(type === 'int32' ? 32 : 64, value));
}

function varintOf(sent: ProtobufField): bigint {
  if (sent.wire !== 'varint') throw brokenProtobuf(`field ${sent.number} is no number`);
  return sent.value;
}
