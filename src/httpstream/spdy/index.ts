export { type AcceptedSpdy, acceptSpdy, type DialedSpdy, dialSpdy, type SpdyDialRequest } from './handshake.ts';
export type { SpdyHeaders } from './header-block.ts';
export type { IncomingStream } from './incoming.ts';
export { SESSION_OVERRUN_BYTES } from './read-gate.ts';
export { SpdySession } from './session.ts';
export type { SpdySessionOptions } from './session-options.ts';
export { SpdyStream } from './stream.ts';
export { MAX_PEER_STREAMS } from './stream-table.ts';
