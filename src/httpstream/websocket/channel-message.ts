import { channel as diagnosticsChannel } from 'node:diagnostics_channel';
import { CLOSE_CHANNEL } from '../../common/channels.ts';
import { ProtocolError } from '../../common/errors.ts';
import { Base64Decoder } from './base64.ts';
import { type DataPiece, MESSAGE_PAYLOAD_BYTES, type MessageOpcode, opcodes } from './frame.ts';

const ZERO = '0'.charCodeAt(0);

const ignored = diagnosticsChannel('exec:websocket:ignored');

/** Base64 makes 4 characters of 3 bytes; the message is then as long as a binary one. */
const BASE64_PAYLOAD_BYTES = (MESSAGE_PAYLOAD_BYTES / 4) * 3;

export interface ChannelMessageOptions {
  readonly role: 'client' | 'server';
  /** The messages are text: the channel as a digit, the payload in base64. */
  readonly base64: boolean;
  /** v5: servers understand `[255, channel]`. */
  readonly closeChannel: boolean;
  /** Servers: a CLOSE of a channel beyond this number breaks the connection. */
  readonly channelCount: number;
}

export type ChannelEvent =
  | {
      readonly kind: 'data';
      readonly channel: number;
      /** Not empty. */
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'closeChannel'; readonly channel: number };

/** The longest payload of one message, in bytes. */
export function maxPayloadBytes(options: { readonly base64: boolean }): number {
  return options.base64 ? BASE64_PAYLOAD_BYTES : MESSAGE_PAYLOAD_BYTES;
}

/** How a payload of `channel` goes into a message: `prefix` is one byte in front of `payload`. */
export function channelMessage(
  channel: number,
  payload: Uint8Array,
  options: { readonly base64: boolean },
): { opcode: MessageOpcode; prefix: number; payload: Uint8Array } {
  if (!options.base64) return { opcode: opcodes.binary, prefix: channel, payload };
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('base64');
  return { opcode: opcodes.text, prefix: ZERO + channel, payload: Buffer.from(text, 'latin1') };
}

/**
 * Channel messages out of pieces of WebSocket messages; payloads pass through without being assembled.
 *
 * A message without any byte is ignored. Bad base64 is ignored from where it is seen: in a message that came in one
 * piece nothing of it is given out, as upstream; upstream assembles longer ones first, which needs memory for 32 MiB.
 *
 * @see wire.md 3.3; `k8s.io/streaming` wsstream/conn.go
 */
export class ChannelMessageReader {
  readonly #options: ChannelMessageOptions;
  #channel: number | undefined;
  #closing: number[] = [];
  #base64 = new Base64Decoder();
  #skip = false;

  constructor(options: ChannelMessageOptions) {
    this.#options = options;
  }

  /**
   * @returns what the piece gives; undefined when it gives nothing (yet)
   * @throws ProtocolError ERR_CHANNEL a malformed CLOSE; for clients also a text message of a binary protocol or the
   * reverse, as client-go does
   */
  read(piece: DataPiece): ChannelEvent | undefined {
    if (piece.first) this.#start(piece.opcode);
    let bytes = piece.bytes;
    if (this.#channel === undefined && bytes.length > 0) {
      const byte = bytes[0] ?? 0;
      this.#channel = this.#options.base64 ? (byte - ZERO) & 0xff : byte;
      bytes = bytes.subarray(1);
    }
    if (this.#channel === undefined) return undefined;
    const { role, base64, closeChannel } = this.#options;
    if (role === 'server' && closeChannel && this.#channel === CLOSE_CHANNEL) return this.#readClose(bytes, piece.last);
    const payload = base64 ? this.#decode(bytes, piece.last) : bytes;
    return payload.length === 0 ? undefined : { kind: 'data', channel: this.#channel, bytes: payload };
  }

  #start(opcode: MessageOpcode): void {
    this.#channel = undefined;
    this.#closing = [];
    this.#skip = false;
    if (this.#options.base64) this.#base64 = new Base64Decoder();
    const expected = this.#options.base64 ? opcodes.text : opcodes.binary;
    // Servers never look at it: any client's opcode will do (wire.md 3.3).
    if (this.#options.role === 'client' && opcode !== expected) {
      const [got, wanted] = opcode === opcodes.text ? ['text', 'binary'] : ['binary', 'text'];
      throw new ProtocolError('ERR_CHANNEL', `a ${got} message came where the protocol has only ${wanted} messages`);
    }
  }

  /** The message is exactly two bytes, 255 and a channel that exists. */
  #readClose(bytes: Uint8Array, last: boolean): ChannelEvent | undefined {
    this.#closing.push(...bytes.subarray(0, 2));
    if (!last && this.#closing.length < 2) return undefined;
    const [channel] = this.#closing;
    if (this.#closing.length !== 1 || channel === undefined || channel >= this.#options.channelCount) {
      const seen = [CLOSE_CHANNEL, ...this.#closing].join(' ');
      throw new ProtocolError(
        'ERR_CHANNEL',
        `a CLOSE is [255, channel] with a channel below ${this.#options.channelCount}, not [${seen}${this.#closing.length > 1 ? ' …' : ''}]`,
      );
    }
    return { kind: 'closeChannel', channel };
  }

  #decode(bytes: Uint8Array, last: boolean): Uint8Array {
    if (this.#skip) return new Uint8Array(0);
    const payload = this.#base64.push(bytes, last);
    if (payload !== undefined) return payload;
    this.#skip = true;
    if (ignored.hasSubscribers) ignored.publish({ channel: this.#channel, why: 'the payload is not base64' });
    return new Uint8Array(0);
  }
}
