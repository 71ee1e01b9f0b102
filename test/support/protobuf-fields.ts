import { Buffer } from 'node:buffer';

/**
 * A protobuf message by field number. A string is a length-delimited string, a number a varint, a boolean a varint 0 or
 * 1, a list a repeated field, an object a nested message.
 */
export interface Fields {
  readonly [field: number]: FieldValue | readonly FieldValue[] | undefined;
}
type FieldValue = string | number | boolean | Uint8Array | Fields;

/** A decoded message: every occurrence of each field, in order. Fixed-width fields are dropped. */
export class FieldReader {
  readonly #varints = new Map<number, number[]>();
  readonly #bytes = new Map<number, Buffer[]>();

  /** @throws RangeError when `message` is cut short */
  constructor(message: Buffer) {
    let at = 0;
    const varint = (): number => {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        const byte = message.readUInt8(at);
        at += 1;
        value += (byte & 0x7f) * scale;
        if (byte < 0x80) return value;
      }
    };
    while (at < message.length) {
      const tag = varint();
      const field = Math.floor(tag / 8);
      if (tag % 8 === 0) append(this.#varints, field, varint());
      else if (tag % 8 === 2) {
        const end = varint() + at;
        append(this.#bytes, field, message.subarray(at, end));
        at = end;
      } else if (tag % 8 === 1) at += 8;
      else if (tag % 8 === 5) at += 4;
      else throw new RangeError(`wire type ${tag % 8} of field ${field} is not known`);
    }
  }

  /** The last value, as protobuf reads a field that occurs twice; 0 when absent. */
  number(field: number): number {
    return this.#varints.get(field)?.at(-1) ?? 0;
  }

  /** '' when absent. */
  text(field: number): string {
    return this.bytes(field).toString();
  }

  /** Empty when absent. */
  bytes(field: number): Buffer {
    return this.#bytes.get(field)?.at(-1) ?? Buffer.alloc(0);
  }

  /** All occurrences as messages. */
  messages(field: number): FieldReader[] {
    return (this.#bytes.get(field) ?? []).map((bytes) => new FieldReader(bytes));
  }
}

/** @throws RangeError for a number that is no varint: negative, fractional or above 2^53 − 1 */
export function encodeFields(fields: Fields): Buffer {
  return Buffer.concat(
    Object.entries(fields).flatMap(([field, value]) => {
      const values: readonly (FieldValue | undefined)[] = Array.isArray(value) ? value : [value];
      return values.flatMap((one) => (one === undefined ? [] : [encodeField(Number(field), one)]));
    }),
  );
}

function encodeField(field: number, value: FieldValue): Buffer {
  if (typeof value === 'number') return Buffer.concat([encodeVarint(field * 8), encodeVarint(value)]);
  if (typeof value === 'boolean') return Buffer.concat([encodeVarint(field * 8), encodeVarint(Number(value))]);
  const bytes =
    typeof value === 'string' ? Buffer.from(value) : value instanceof Uint8Array ? value : encodeFields(value);
  return Buffer.concat([encodeVarint(field * 8 + 2), encodeVarint(bytes.length), bytes]);
}

function encodeVarint(value: number): Buffer {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a varint of this encoder`);
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

function append<T>(map: Map<number, T[]>, field: number, value: T): void {
  const list = map.get(field);
  if (list === undefined) map.set(field, [value]);
  else list.push(value);
}
