import { ProtocolError } from '../../common/errors.ts';
import type { SpdyHeaders } from './header-block.ts';

/** The version that control frames carry: `SPDY/3.1` in HTTP, 3 in the frames. */
export const SPDY_VERSION = 3;

/** Control frame types of the draft. NOOP (5) and CREDENTIAL (10) are unknown to every peer in the field. */
export const frameTypes = {
  SYN_STREAM: 1,
  SYN_REPLY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  HEADERS: 8,
  WINDOW_UPDATE: 9,
} as const;

export const FLAG_FIN = 0x01;

/** Statuses of RST_STREAM. 0 is illegal. Kubernetes uses CANCEL for nearly everything. */
export const resetStatus = {
  PROTOCOL_ERROR: 1,
  INVALID_STREAM: 2,
  REFUSED_STREAM: 3,
  UNSUPPORTED_VERSION: 4,
  CANCEL: 5,
  INTERNAL_ERROR: 6,
} as const;

/** Statuses of GOAWAY. */
export const goAwayStatus = { OK: 0, PROTOCOL_ERROR: 1, INTERNAL_ERROR: 2 } as const;

/** Stream ids have 31 bits. */
export const MAX_STREAM_ID = 0x7fff_ffff;

/** Every frame begins with 8 bytes; the last 3 are the length of what follows. */
export const FRAME_HEAD_BYTES = 8;

/** The longest payload that a frame's 24-bit length can say, in bytes. */
export const MAX_FRAME_BYTES = 0xff_ffff;

/**
 * What the decoder gives. A DATA frame comes as one `data` for each piece of its payload that arrived, and only the last
 * piece carries the frame's FIN.
 */
export type Frame =
  | { readonly type: 'SYN_STREAM'; readonly streamId: number; readonly fin: boolean; readonly headers: SpdyHeaders }
  | { readonly type: 'SYN_REPLY'; readonly streamId: number; readonly fin: boolean; readonly headers: SpdyHeaders }
  | { readonly type: 'HEADERS'; readonly streamId: number; readonly fin: boolean; readonly headers: SpdyHeaders }
  | { readonly type: 'RST_STREAM'; readonly streamId: number; readonly status: number }
  | { readonly type: 'PING'; readonly id: number }
  | { readonly type: 'GOAWAY'; readonly lastGoodStreamId: number; readonly status: number }
  | { readonly type: 'SETTINGS' }
  | { readonly type: 'WINDOW_UPDATE' }
  | {
      readonly type: 'DATA';
      readonly streamId: number;
      readonly fin: boolean;
      /** A view of the chunk that was fed in, not a copy. */
      readonly bytes: Uint8Array;
    };

/** The peer broke the framing; the connection cannot go on. */
export function frameError(message: string): ProtocolError {
  return new ProtocolError('ERR_FRAME', message);
}
