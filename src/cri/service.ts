import type { DescMethod } from '@bufbuild/protobuf';
import type { GrpcMessage } from '../grpc/index.ts';
import { ImageService, RuntimeService } from './gen/runtime/v1/api_pb.ts';

/** The largest message either side sends or takes: the kubelet's and containerd's limit. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export type RuntimeMethods = (typeof RuntimeService)['method'];
export type ImageMethods = (typeof ImageService)['method'];

/** The two services of `runtime.v1`, as their descriptors. */
export const criServices = { runtime: RuntimeService, image: ImageService } as const;

/** CRI has unary calls and server streams, nothing else. */
export type CriMethod = DescMethod & { readonly methodKind: 'unary' | 'server_streaming' };

/** Any message of `runtime.v1`. */
export type CriMessage = GrpcMessage;

/** The methods of a service, each with its name in camel case as `localName`. */
export function methodsOf(service: keyof typeof criServices): readonly CriMethod[] {
  return criServices[service].methods.filter(isCriMethod);
}

function isCriMethod(method: DescMethod): method is CriMethod {
  return method.methodKind === 'unary' || method.methodKind === 'server_streaming';
}
