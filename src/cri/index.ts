export { type GrpcCode, grpcCodeName, grpcCodes } from '../grpc/index.ts';
export { RuntimeCallError, type RuntimeCallErrorOptions } from './call-error.ts';
export type { CallTrace } from './call-trace.ts';
export {
  type CriCallOptions,
  CriClient,
  type CriClientOptions,
  type CriServices,
  type ImageServiceClient,
  type RuntimeServiceClient,
} from './client.ts';
export { type CriEndpoint, formatCriEndpoint, parseCriEndpoint } from './endpoint.ts';
export type { CriHandlers, HandlerContext, ImageServiceHandlers, RuntimeServiceHandlers } from './handlers.ts';
export * from './message.ts';
export { type CriListen, CriServer, type CriServerOptions, serveCri } from './server.ts';
export { DEFAULT_CALL_TIMEOUT_MS } from './timeout.ts';
