import { FLAG_FIN, FRAME_HEAD_BYTES, type Frame, frameError, frameTypes, SPDY_VERSION } from './frame.ts';
import { HeaderInflater } from './header-compression.ts';

/** What the bytes at hand are. */
const state = { head: 0, data: 1, fixed: 2, block: 3, skip: 4 } as const;

/** Bytes of a control frame before its header block, or of the whole frame. */
const fixedBytes: ReadonlyMap<number, number> = new Map([
  [frameTypes.SYN_STREAM, 10],
  [frameTypes.SYN_REPLY, 4],
  [frameTypes.RST_STREAM, 8],
  [frameTypes.SETTINGS, 0],
  [frameTypes.PING, 4],
  [frameTypes.GOAWAY, 8],
  [frameTypes.HEADERS, 4],
  [frameTypes.WINDOW_UPDATE, 8],
]);

/** Types whose length is one number by the draft and whose flags are none; peers end the connection otherwise. */
const exactTypes: ReadonlySet<number> = new Set([frameTypes.GOAWAY, frameTypes.WINDOW_UPDATE]);
const flaglessTypes: ReadonlySet<number> = new Set([frameTypes.PING, frameTypes.GOAWAY, frameTypes.WINDOW_UPDATE]);

/**
 * Splits the bytes of one direction into frames. Does no I/O and holds at most the fixed part of one frame: payload of
 * DATA passes as slices of the chunks that are fed in, header blocks are inflated as they come.
 *
 *     head ─DATA─▶ data ─┐   head ─control─▶ fixed ─▶ block | skip ─┐
 *      ▲─────────────────┘     ▲────────────────────────────────────┘
 */
export class FrameDecoder {
  readonly #inflater = new HeaderInflater();
  #state: (typeof state)[keyof typeof state] = state.head;
  /** The fixed part being collected: the frame's head or what follows it. */
  readonly #small = Buffer.alloc(10);
  #smallBytes = 0;
  #smallWanted = FRAME_HEAD_BYTES;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Bytes of the frame still to come, the fixed part not counted once it is complete. */
  #left = 0;

  /** True between two frames: an end of input here cuts nothing. */
  get idle(): boolean {
    return this.#state === state.head && this.#smallBytes === 0;
  }

  /**
   * Take all frames before the next call. After an error the decoder is of no more use.
   *
   * @throws ProtocolError ERR_FRAME, ERR_HEADER_BLOCK
   */
  *push(chunk: Uint8Array): Generator<Frame, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      let frame: Frame | undefined;
      switch (this.#state) {
        case state.head:
        case state.fixed:
          at += this.#collect(chunk, at);
          if (this.#smallBytes === this.#smallWanted) frame = this.#gotSmall();
          break;
        case state.data: {
          const bytes = chunk.subarray(at, at + this.#left);
          at += bytes.length;
          frame = this.#dataPiece(bytes);
          break;
        }
        case state.block: {
          const bytes = chunk.subarray(at, at + this.#left);
          at += bytes.length;
          this.#left -= bytes.length;
          this.#inflater.push(bytes);
          if (this.#left === 0) frame = this.#blockFrame();
          break;
        }
        case state.skip: {
          const skipped = Math.min(chunk.length - at, this.#left);
          at += skipped;
          this.#left -= skipped;
          if (this.#left === 0) this.#expectHead();
          break;
        }
      }
      if (frame !== undefined) yield frame;
    }
  }

  #collect(chunk: Uint8Array, at: number): number {
    const taken = Math.min(chunk.length - at, this.#smallWanted - this.#smallBytes);
    this.#small.set(chunk.subarray(at, at + taken), this.#smallBytes);
    this.#smallBytes += taken;
    return taken;
  }

  #expectHead(): void {
    this.#state = state.head;
    this.#smallBytes = 0;
    this.#smallWanted = FRAME_HEAD_BYTES;
  }

  #gotSmall(): Frame | undefined {
    if (this.#state === state.fixed) return this.#gotFixed();
    const word = this.#small.readUInt32BE(0);
    this.#flags = this.#small.readUInt8(4);
    this.#left = this.#small.readUIntBE(5, 3);
    return word < 0x8000_0000 ? this.#gotDataHead(word) : this.#gotControlHead(word);
  }

  #gotDataHead(streamId: number): Frame | undefined {
    if (streamId === 0) throw frameError('a DATA frame is for stream 0');
    this.#streamId = streamId;
    this.#state = state.data;
    return this.#left === 0 ? this.#dataPiece(noBytes) : undefined;
  }

  #dataPiece(bytes: Uint8Array): Frame {
    this.#left -= bytes.length;
    const last = this.#left === 0;
    if (last) this.#expectHead();
    return { type: 'DATA', streamId: this.#streamId, fin: last && (this.#flags & FLAG_FIN) !== 0, bytes };
  }

  #gotControlHead(word: number): Frame | undefined {
    const version = (word >>> 16) & 0x7fff;
    if (version !== SPDY_VERSION) throw frameError(`a control frame has version ${version}, not ${SPDY_VERSION}`);
    this.#type = word & 0xffff;
    const wanted = fixedBytes.get(this.#type);
    if (wanted === undefined) throw frameError(`a control frame has the unknown type ${this.#type}`);
    if (this.#left < wanted || (this.#left > wanted && exactTypes.has(this.#type))) {
      throw frameError(`a control frame of type ${this.#type} has length ${this.#left}, not ${wanted}`);
    }
    if (this.#flags !== 0 && flaglessTypes.has(this.#type)) {
      throw frameError(`a control frame of type ${this.#type} has flags ${this.#flags}, it must have none`);
    }
    this.#state = state.fixed;
    this.#smallBytes = 0;
    this.#smallWanted = wanted;
    return wanted === 0 ? this.#gotFixed() : undefined;
  }

  #gotFixed(): Frame | undefined {
    this.#left -= this.#smallWanted;
    const id = this.#smallWanted === 0 ? 0 : this.#small.readUInt32BE(0);
    if (
      this.#type === frameTypes.SYN_STREAM ||
      this.#type === frameTypes.SYN_REPLY ||
      this.#type === frameTypes.HEADERS
    ) {
      if (id === 0) throw frameError(`a control frame of type ${this.#type} is for stream 0`);
      this.#streamId = id;
      this.#state = state.block;
      return this.#left === 0 ? this.#blockFrame() : undefined;
    }
    const frame = this.#fixedFrame(id);
    // The draft fixes these lengths too; what is longer is skipped, so that framing survives a careless peer.
    if (this.#left > 0) this.#state = state.skip;
    else this.#expectHead();
    return frame;
  }

  #fixedFrame(id: number): Frame {
    switch (this.#type) {
      case frameTypes.RST_STREAM: {
        const status = this.#small.readUInt32BE(4);
        if (id === 0) throw frameError('an RST_STREAM frame is for stream 0');
        if (status === 0) throw frameError(`the RST_STREAM of stream ${id} has status 0`);
        return { type: 'RST_STREAM', streamId: id, status };
      }
      case frameTypes.PING:
        if (id === 0) throw frameError('a PING frame has id 0');
        return { type: 'PING', id };
      case frameTypes.GOAWAY:
        return { type: 'GOAWAY', lastGoodStreamId: id, status: this.#small.readUInt32BE(4) };
      case frameTypes.SETTINGS:
        return { type: 'SETTINGS' };
      default:
        return { type: 'WINDOW_UPDATE' };
    }
  }

  #blockFrame(): Frame {
    const headers = this.#inflater.finish();
    const type =
      this.#type === frameTypes.SYN_STREAM
        ? 'SYN_STREAM'
        : this.#type === frameTypes.SYN_REPLY
          ? 'SYN_REPLY'
          : 'HEADERS';
    this.#expectHead();
    return { type, streamId: this.#streamId, fin: (this.#flags & FLAG_FIN) !== 0, headers };
  }
}

const noBytes = new Uint8Array(0);
