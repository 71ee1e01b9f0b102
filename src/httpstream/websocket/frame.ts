/** Opcodes of RFC 6455, section 5.2. 3 … 7 and 11 … 15 are reserved and break the connection. */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** What a message is, whatever the opcodes of its further fragments. */
export type MessageOpcode = typeof opcodes.text | typeof opcodes.binary;

export type ControlOpcode = typeof opcodes.close | typeof opcodes.ping | typeof opcodes.pong;

/** The longest payload of a control frame, in bytes. */
export const MAX_CONTROL_BYTES = 125;

/** The longest message that a server takes: Go's servers allow 32 MiB and one channel byte. */
export const MAX_MESSAGE_BYTES = 32 * 1024 * 1024 + 1;

/**
 * The longest payload that is sent in one message, not counting the channel byte. Servers built on x/net do not
 * reassemble, so that a message is always one frame; Go's own peers copy in pieces of this size (wire.md 3.5).
 */
export const MESSAGE_PAYLOAD_BYTES = 32 * 1024;

/** Close codes of RFC 6455, section 7.4.1. `noStatus` and `lost` never stand on the wire. */
export const closeCodes = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupported: 1003,
  noStatus: 1005,
  lost: 1006,
  tooBig: 1009,
  internal: 1011,
} as const;

const closeNames: ReadonlyMap<number, string> = new Map([
  [1000, 'normal'],
  [1001, 'going away'],
  [1002, 'protocol error'],
  [1003, 'unsupported data'],
  [1005, 'no status'],
  [1006, 'abnormal closure'],
  [1007, 'invalid payload data'],
  [1008, 'policy violation'],
  [1009, 'message too big'],
  [1010, 'mandatory extension'],
  [1011, 'internal server error'],
  [1012, 'service restart'],
  [1013, 'try again later'],
  [1014, 'bad gateway'],
]);

/** `1001 (going away)`; a code without a registered meaning stands alone. */
export function closeCodeText(code: number): string {
  const name = closeNames.get(code);
  return name === undefined ? String(code) : `${code} (${name})`;
}

/** Whether `code` may stand in a Close frame: registered ones, and 3000 … 4999 for libraries and applications. */
export function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return closeNames.has(code) && code !== closeCodes.noStatus && code !== closeCodes.lost;
}

/** A piece of a data message, in order. A message of one unbroken frame in one chunk is one piece. */
export interface DataPiece {
  readonly kind: 'data';
  readonly opcode: MessageOpcode;
  /** A view of the chunk that was pushed, unmasked; may be empty. */
  readonly bytes: Uint8Array;
  /** The message starts with this piece. */
  readonly first: boolean;
  /** The message ends with this piece. */
  readonly last: boolean;
}

/** What a decoder makes of bytes. Payloads of control frames are copies. */
export type FrameEvent =
  | DataPiece
  | { readonly kind: 'ping'; readonly payload: Uint8Array }
  | { readonly kind: 'pong'; readonly payload: Uint8Array }
  | {
      readonly kind: 'close';
      /** {@link closeCodes.noStatus} when the frame was empty. */
      readonly code: number;
      readonly text: string;
    };
