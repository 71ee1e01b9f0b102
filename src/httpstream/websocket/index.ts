export { BEARER_PROTOCOL_PREFIX, type BearerOffer, bearerProtocol, takeBearerToken } from './bearer-protocol.ts';
export { type ByteStreamOptions, WebSocketByteStream } from './byte-stream.ts';
export {
  type AcceptChannelsOptions,
  acceptByteStream,
  acceptChannels,
  isWebSocketUpgrade,
  type OpenChannelsOptions,
  type OpenOptions,
  offeredProtocols,
  openByteStream,
  openChannels,
} from './handshake.ts';
export { HEARTBEAT_INTERVAL_MS, KEEPALIVE_TIMEOUT_MS, PING_INTERVAL_MS } from './keepalive.ts';
export type { LinkOptions } from './link.ts';
export { ChannelSession, type ChannelSessionOptions, READ_AHEAD_BYTES } from './session.ts';
export type { ChannelStream } from './stream.ts';
