export { type ChannelForward, type OpenChannelForwardOptions, openChannelForward } from './channel-client.ts';
export { MAX_CHANNEL_PORTS } from './channel-server.ts';
export {
  type OpenPortForwardOptions,
  openPortForward,
  PortForwardSession,
  type RemoteConnection,
} from './client.ts';
export type { DialPort } from './forward.ts';
export { parsePort, parsePorts } from './port.ts';
export { type PortForwardEnd, type ServePortForwardOptions, servePortForward } from './server.ts';
export { proxyTunnel, tunnelProtocols } from './tunnel.ts';
