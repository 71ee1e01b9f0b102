export { HOST_IMAGE, HOST_IMAGE_ID, HOST_IMAGE_REF } from './host-image.ts';
export {
  fullReference,
  ImageStore,
  type ImportedImage,
  type ImportOptions,
  type ImportProgress,
  type StoredImage,
} from './image/index.ts';
export { hasManyUsers, UserNamespace, userNamespaceObstacle } from './isolation/index.ts';
export { type RunningRuntime, type StartRuntimeOptions, startRuntime } from './main.ts';
export {
  CommandStartError,
  type ProcessExit,
  type ProcessSpec,
  type RunningProcess,
  startProcess,
} from './process/index.ts';
export {
  type AttachSession,
  type AttachTicket,
  createRuntime,
  type ExecTicket,
  type PortForwardTicket,
  type Runtime,
  type RuntimeOptions,
} from './runtime.ts';
export type { StreamRequests } from './streaming-calls.ts';
export { type StreamingReport, type StreamingServerOptions, serveStreams } from './streaming-server.ts';
export { type StreamingTokenOptions, StreamingTokens } from './streaming-tokens.ts';
