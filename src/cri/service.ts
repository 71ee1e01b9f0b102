import { type DescMessage, type DescMethod, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { ImageService, RuntimeService } from './gen/runtime/v1/api_pb.ts';

/** The largest message either side sends or takes: the kubelet's and containerd's limit. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

// Libraries do not write to the console; who sets GRPC_VERBOSITY wants to read it.
if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);

export type RuntimeMethods = (typeof RuntimeService)['method'];
export type ImageMethods = (typeof ImageService)['method'];

/** The two services of `runtime.v1`, as their descriptors. */
export const criServices = { runtime: RuntimeService, image: ImageService } as const;

/** CRI has unary calls and server streams, nothing else. */
export type CriMethod = DescMethod & { readonly methodKind: 'unary' | 'server_streaming' };

/** Any message of `runtime.v1`. */
export type CriMessage = MessageShape<DescMessage>;

/** The methods of a service, each with its name in camel case as `localName`. */
export function methodsOf(service: keyof typeof criServices): readonly CriMethod[] {
  return criServices[service].methods.filter(isCriMethod);
}

function isCriMethod(method: DescMethod): method is CriMethod {
  return method.methodKind === 'unary' || method.methodKind === 'server_streaming';
}

/** The HTTP/2 path of a method. */
export function pathOf(method: CriMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** @throws Error that names the field whose value does not fit its type */
export function encodeMessage(schema: DescMessage, message: CriMessage): Buffer {
  const bytes = toBinary(schema, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Fields of type `bytes` are views of `bytes`, which the gRPC library allocated for this one message. */
export function decodeMessage(schema: DescMessage, bytes: Buffer): CriMessage {
  return fromBinary(schema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}
