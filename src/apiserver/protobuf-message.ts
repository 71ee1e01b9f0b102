import { badRequest } from './api-error.ts';

/** One field of a message as it stands on the wire: its number and a varint, or bytes with their length or without. */
export type ProtobufField =
  | { readonly number: number; readonly wire: 'varint'; readonly value: bigint }
  | { readonly number: number; readonly wire: 'bytes' | 'fixed'; readonly value: Uint8Array };

/**
 * The fields of one protobuf message in order.
 *
 * @returns views of `message`, not copies
 * @throws ExecPathError ERR_BAD_REQUEST when it ends early, or has a wire type or a number that is none
 */
export function* protobufFields(message: Uint8Array): Generator<ProtobufField, void> {
  const cursor = new Cursor(message);
  while (!cursor.isAtEnd) {
    const tag = cursor.size();
    const number = Math.floor(tag / 8);
    if (number === 0 || number > MAX_FIELD_NUMBER) throw brokenProtobuf(`a field has the number ${number}`);
    switch (tag % 8) {
      case 0:
        yield { number, wire: 'varint', value: cursor.varint() };
        break;
      case 1:
        yield { number, wire: 'fixed', value: cursor.take(8) };
        break;
      case 2:
        yield { number, wire: 'bytes', value: cursor.take(cursor.size()) };
        break;
      case 5:
        yield { number, wire: 'fixed', value: cursor.take(4) };
        break;
      default:
        throw brokenProtobuf(`a field has the wire type ${tag % 8}`);
    }
  }
}

const MAX_FIELD_NUMBER = 2 ** 29 - 1;

/** The numbers of a list that stand one behind another in one field. @throws ExecPathError ERR_BAD_REQUEST */
export function packedVarints(bytes: Uint8Array): bigint[] {
  const cursor = new Cursor(bytes);
  const values: bigint[] = [];
  while (!cursor.isAtEnd) values.push(cursor.varint());
  return values;
}

/** Reads a message from its beginning to its end. What is cut off it refuses. */
class Cursor {
  readonly #message: Uint8Array;
  #at = 0;

  constructor(message: Uint8Array) {
    this.#message = message;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#message.length;
  }

  /** A number as it is, for values. */
  varint(): bigint {
    const start = this.#at;
    const rough = this.size();
    if (rough <= Number.MAX_SAFE_INTEGER) return BigInt(rough);
    let value = 0n;
    for (let at = start; at < this.#at; at += 1) {
      value |= BigInt((this.#message[at] ?? 0) & 0x7f) << BigInt(7 * (at - start));
    }
    return BigInt.asUintN(64, value);
  }

  /** A number, exact to 2^53: what is larger is no length of anything here. */
  size(): number {
    let value = 0;
    let scale = 1;
    for (let bytes = 0; bytes < 10; bytes += 1) {
      const byte = this.#message[this.#at];
      if (byte === undefined) throw brokenProtobuf('a number is cut off');
      this.#at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw brokenProtobuf('a number has more than ten bytes');
  }

  take(length: number): Uint8Array {
    if (length > this.#message.length - this.#at) throw brokenProtobuf(`a field of ${length} bytes is cut off`);
    this.#at += length;
    return this.#message.subarray(this.#at - length, this.#at);
  }
}

/** The field of a number; of several the last. */
export function lastField(message: Uint8Array, number: number): ProtobufField | undefined {
  let found: ProtobufField | undefined;
  for (const field of protobufFields(message)) if (field.number === number) found = field;
  return found;
}

/** Nothing where the field is missing. @throws ExecPathError ERR_BAD_REQUEST for a number */
export function bytesAt(message: Uint8Array, number: number): Uint8Array {
  const field = lastField(message, number);
  return field === undefined ? new Uint8Array() : bytesOf(field);
}

/** @throws ExecPathError ERR_BAD_REQUEST for a number */
export function textAt(message: Uint8Array, number: number): string {
  return textOf(bytesAt(message, number));
}

/** What a text or an inner message holds. @throws ExecPathError ERR_BAD_REQUEST for a number */
export function bytesOf({ number, wire, value }: ProtobufField): Uint8Array {
  if (wire !== 'bytes') throw brokenProtobuf(`field ${number} is neither a text nor a message`);
  return value;
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** What is not UTF-8 is replaced, as in the JSON of a Go client: a kubelet cuts what a container has said anywhere. */
export function textOf(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

export function brokenProtobuf(what: string): Error {
  return badRequest(`the body is not protobuf: ${what}`);
}

/** One field of a message as bytes with their length before them: a text or an inner message. */
export function encodeField(number: number, value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([encodeVarint(number * 8 + 2), encodeVarint(bytes.length), bytes]);
}

function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}
