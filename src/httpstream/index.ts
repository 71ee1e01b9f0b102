export * from './http-answer.ts';
export * from './linger.ts';
export * from './spdy/index.ts';
export * from './upgrade.ts';
export * from './websocket/index.ts';
