export { ClientWatch } from './client-watch.ts';
export * from './connection.ts';
export type { HopLimits } from './hop-limits.ts';
export type { RawHeaders } from './http-answer.ts';
export {
  HEADERS_TIMEOUT_MS,
  type Listener,
  type ListenOptions,
  listen,
  STOP_GRACE_MS,
  type TlsSource,
} from './listener.ts';
export { RELAY_BUFFER_BYTES, RELAY_LINGER_MS, type RelayResult, type RelaySide, relay } from './relay.ts';
export * from './spdy/index.ts';
export { answerUpgrade, refuseUpgrade, requestUpgrade, type UpgradeAnswer } from './upgrade.ts';
export {
  proxyUpgrade,
  type UpgradeProxyOptions,
  type UpgradeProxyResult,
  type UpgradeTarget,
} from './upgrade-proxy.ts';
export * from './websocket/index.ts';
