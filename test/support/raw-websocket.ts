import type { Duplex } from 'node:stream';

/** One frame as it stood on the wire, unmasked. */
export interface RawFrame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: Buffer;
}

/**
 * One frame, byte by byte, written without the code under test.
 *
 * @param first FIN, reserved bits and opcode
 * @param key 4 bytes; without it the frame is not masked
 */
export function rawFrame(first: number, payload: Uint8Array | string, key?: Uint8Array): Buffer {
  const body = Buffer.from(payload);
  const length = Buffer.alloc(body.length < 126 ? 1 : body.length < 65_536 ? 3 : 9);
  if (length.length === 1) length[0] = body.length;
  else if (length.length === 3) {
    length[0] = 126;
    length.writeUInt16BE(body.length, 1);
  } else {
    length[0] = 127;
    length.writeBigUInt64BE(BigInt(body.length), 1);
  }
  if (key === undefined) return Buffer.concat([Buffer.of(first), length, body]);
  length[0] |= 0x80;
  return Buffer.concat([Buffer.of(first), length, key, body.map((byte, i) => byte ^ key[i % 4]!)]);
}

/** Splits the first frame off `bytes`; undefined when it is not complete. A slow and naive oracle. */
export function splitRawFrame(bytes: Buffer): { frame: RawFrame; rest: Buffer } | undefined {
  if (bytes.length < 2) return undefined;
  const masked = bytes[1]! >= 0x80;
  const short = bytes[1]! & 0x7f;
  const start = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (masked ? 4 : 0);
  if (bytes.length < start) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (bytes.length < start + length) return undefined;
  const key = bytes.subarray(start - 4, start);
  const payload = Buffer.from(bytes.subarray(start, start + length)).map((byte, i) =>
    masked ? byte ^ key[i % 4]! : byte,
  );
  return {
    frame: { fin: bytes[0]! >= 0x80, opcode: bytes[0]! & 0x0f, masked, payload: Buffer.from(payload) },
    rest: bytes.subarray(start + length),
  };
}

/** A peer that does what a test says and nothing else: no PONG, no answer to a Close. It answers EOF with EOF. */
export class RawWebSocket {
  readonly socket: Duplex;
  /** Every frame received so far. */
  readonly frames: RawFrame[] = [];
  /** Resolves at the EOF of the other side. */
  readonly ended: Promise<void>;
  readonly #key: Uint8Array | undefined;
  #bytes: Buffer = Buffer.alloc(0);
  #waiting: (() => void)[] = [];
  #taken = 0;
  #gone = false;

  /** @param role a client masks what it sends */
  constructor(socket: Duplex, role: 'client' | 'server') {
    this.socket = socket;
    this.#key = role === 'client' ? Uint8Array.of(0x12, 0x34, 0x56, 0x78) : undefined;
    this.ended = new Promise((resolve) => {
      socket.once('end', resolve);
      socket.once('close', resolve);
    });
    socket.on('error', () => {});
    socket.once('end', () => socket.end());
    socket.on('close', () => {
      this.#gone = true;
      this.#wake();
    });
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      for (;;) {
        const split = splitRawFrame(this.#bytes);
        if (split === undefined) break;
        this.frames.push(split.frame);
        this.#bytes = split.rest;
      }
      this.#wake();
    });
  }

  /** Writes one frame. @param first default: a whole binary message */
  send(payload: Uint8Array | string, first = 0x82): void {
    this.socket.write(rawFrame(first, payload, this.#key));
  }

  /** Writes a Close frame; without a code an empty one. */
  sendClose(code?: number, reason = ''): void {
    const payload = code === undefined ? '' : Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]);
    this.send(payload, 0x88);
  }

  /** The next frame not yet asked for. @throws Error when the connection is gone without one */
  async next(): Promise<RawFrame> {
    for (;;) {
      const frame = this.frames[this.#taken];
      if (frame !== undefined) {
        this.#taken += 1;
        return frame;
      }
      if (this.#gone) throw new Error('the connection is gone, no frame came');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The next frame with `opcode`; others are skipped. */
  async nextOf(opcode: number): Promise<RawFrame> {
    for (;;) {
      const frame = await this.next();
      if (frame.opcode === opcode) return frame;
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
