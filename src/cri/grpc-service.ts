import type { MethodDefinition, Server, UntypedServiceImplementation } from '@grpc/grpc-js';
import { decodeMessage, encodeMessage, grpcCodes, pathOf } from '../grpc/index.ts';
import { RuntimeCallError } from './call-error.ts';
import type { CriHandlers, HandlerContext } from './handlers.ts';
import type { AnyStreamHandler, AnyUnaryHandler, ServedCalls } from './served-calls.ts';
import { type CriMessage, type CriMethod, methodsOf } from './service.ts';

type AnyHandlers = Readonly<Record<string, ((request: CriMessage, context: HandlerContext) => unknown) | undefined>>;

/** Registers every RPC of a service; those that `handlers` lacks, even at the moment of the call, are Unimplemented. */
export function addService(server: Server, calls: ServedCalls, name: 'runtime' | 'image', handlers: CriHandlers): void {
  const own = (handlers[name] ?? {}) as AnyHandlers;
  const definitions: Record<string, MethodDefinition<CriMessage, Buffer>> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const method of methodsOf(name)) {
    const answer = (request: CriMessage, context: HandlerContext): unknown => {
      const handler = own[method.localName];
      if (handler === undefined) throw unimplemented(method);
      return handler.call(own, request, context);
    };
    definitions[method.localName] = definitionOf(method);
    implementation[method.localName] =
      method.methodKind === 'unary'
        ? calls.unary(method, answer as AnyUnaryHandler)
        : calls.stream(method, answer as AnyStreamHandler);
  }
  server.addService(definitions, implementation);
}

function unimplemented(method: CriMethod): RuntimeCallError {
  return new RuntimeCallError(grpcCodes.Unimplemented, `this runtime does not implement ${method.name}`);
}

function definitionOf(method: CriMethod): MethodDefinition<CriMessage, Buffer> {
  return {
    path: pathOf(method),
    requestStream: false,
    responseStream: method.methodKind === 'server_streaming',
    requestDeserialize: (bytes) => decodeMessage(method.input, bytes),
    responseSerialize: (bytes) => bytes,
    // A definition has both directions; a server uses the two above only.
    requestSerialize: (message) => encodeMessage(method.input, message),
    responseDeserialize: (bytes) => bytes,
  };
}
