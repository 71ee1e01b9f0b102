export { apiStatusOf } from './api-error.ts';
export type { ApiObject } from './api-object.ts';
export type * from './connect-request.ts';
export * from './gateway/main.ts';
export { type KubeletDialerOptions, kubeletDialer } from './kubelet-dialer.ts';
export { parseLabelSelector } from './label-selector.ts';
export * from './main.ts';
export * from './pod-location.ts';
export { Registry } from './registry.ts';
export { REQUEST_CHANNEL, type RequestRecord } from './request-trace.ts';
export { allResources } from './resources.ts';
export { SECURE_PORT } from './serving.ts';
export {
  type ConnectEnd,
  createStreamingHandler,
} from './streaming-route.ts';
