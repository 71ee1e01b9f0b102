export type { CallEnd, CallFailure } from './call-failure.ts';
export { type CallLimits, type ChannelTls, GrpcChannel } from './channel.ts';
export { deadlineAfter } from './deadline.ts';
export { type GrpcCode, grpcCodeName, grpcCodes } from './grpc-code.ts';
export { decodeMessage, encodeMessage, type GrpcMessage, pathOf } from './message.ts';
