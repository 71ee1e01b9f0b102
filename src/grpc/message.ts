import { type DescMessage, type DescMethod, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';

/** Any message. */
export type GrpcMessage = MessageShape<DescMessage>;

/** The HTTP/2 path of a method. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** @throws Error that names the field whose value does not fit its type */
export function encodeMessage(schema: DescMessage, message: GrpcMessage): Buffer {
  const bytes = toBinary(schema, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Fields of type `bytes` are views of `bytes`, which the gRPC library allocated for this one message. */
export function decodeMessage(schema: DescMessage, bytes: Buffer): GrpcMessage {
  return fromBinary(schema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}
