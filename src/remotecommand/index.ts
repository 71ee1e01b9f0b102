export { type RemoteCommand, runRemoteCommand } from './client.ts';
export {
  type RunCommand,
  type ServeOptions,
  type ServerSession,
  serveRemoteCommand,
  serveStreamSet,
} from './server.ts';
export {
  channelStreamSet,
  openStreamSet,
  STREAM_CREATION_TIMEOUT_MS,
  StreamCollector,
  type StreamSet,
} from './stream-set.ts';
export { type DialUpstream, refuseInBand, translateStreams } from './stream-translator.ts';
export { isUpgrade, needsTranslation } from './upgrade-request.ts';
