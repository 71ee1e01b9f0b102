import { badRequest } from './api-error.ts';

/** One field of a message as it stands on the wire: its number and either a varint or bytes. */
export type ProtobufField =
  | { readonly number: number; readonly wire: 'varint'; readonly value: bigint }
  | { readonly number: number; readonly wire: 'bytes'; readonly value: Uint8Array };

/**
 * The fields of one protobuf message in order; fixed-width fields, which no message here has, are skipped.
 *
 * @returns views of `message`, not copies
 * @throws ExecPathError ERR_BAD_REQUEST when it ends early or has a wire type that is none
 */
export function* protobufFields(message: Uint8Array): Generator<ProtobufField, void> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at];
      if (byte === undefined) throw broken('a number is cut off');
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw broken('a number has more than ten bytes');
  };
  const take = (length: number): Uint8Array => {
    if (length > message.length - at) throw broken(`a field of ${length} bytes is cut off`);
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        yield { number, wire: 'varint', value: varint() };
        break;
      case 1:
        take(8);
        break;
      case 2:
        yield { number, wire: 'bytes', value: take(Number(varint())) };
        break;
      case 5:
        take(4);
        break;
      default:
        throw broken(`a field has the wire type ${tag % 8}`);
    }
  }
}

function broken(what: string): Error {
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
