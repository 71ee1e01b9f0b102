import { ExecPathError } from '../../common/errors.ts';
import { MAX_STREAM_ID, resetStatus } from './frame.ts';
import type { SpdyHeaders } from './header-block.ts';
import type { SpdyStream } from './stream.ts';

/** Streams of the peer that may be alive at once on one session. A stream lives until its user has read and ended it. */
export const MAX_PEER_STREAMS = 1024;

/** Characters of headers that the peer's live streams may have together: a header costs a peer almost nothing to send. */
export const MAX_PEER_HEADER_CHARS = 8 * 1024 * 1024;

/**
 * The live streams of one session and the rules of their ids: clients odd, servers even, growing, 31 bits.
 */
export class StreamTable {
  readonly #streams = new Map<number, SpdyStream>();
  /** Header characters by id, for the peer's streams only. */
  readonly #peerChars = new Map<number, number>();
  readonly #peerParity: 0 | 1;
  #peerHeaderChars = 0;
  #nextLocalId: number;
  #lastPeerId = 0;

  constructor(role: 'client' | 'server') {
    this.#nextLocalId = role === 'client' ? 1 : 2;
    this.#peerParity = role === 'client' ? 0 : 1;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** The highest id of the peer that was admitted, 0 for none: what GOAWAY says. */
  get lastPeerId(): number {
    return this.#lastPeerId;
  }

  get(id: number): SpdyStream | undefined {
    return this.#streams.get(id);
  }

  /** A copy, so that streams may leave while it is walked. */
  all(): SpdyStream[] {
    return [...this.#streams.values()];
  }

  /**
   * The id of our next stream; {@link addLocal} uses it up.
   *
   * @throws ExecPathError ERR_STREAM_REFUSED when all are used
   */
  nextLocalId(): number {
    if (this.#nextLocalId > MAX_STREAM_ID) {
      throw new ExecPathError(
        'ERR_STREAM_REFUSED',
        `stream id ${this.#nextLocalId} has more than 31 bits: all are used`,
      );
    }
    return this.#nextLocalId;
  }

  addLocal(stream: SpdyStream): void {
    this.#nextLocalId = stream.id + 2;
    this.#streams.set(stream.id, stream);
  }

  /**
   * Checks a SYN_STREAM of the peer and uses up its id.
   *
   * @returns the RST_STREAM status with which it must be answered, or undefined when it is in order
   */
  admit(id: number, headers: SpdyHeaders): number | undefined {
    if (id > MAX_STREAM_ID || id <= this.#lastPeerId || (id & 1) !== this.#peerParity)
      return resetStatus.PROTOCOL_ERROR;
    this.#lastPeerId = id;
    const chars = this.#peerHeaderChars + charsOf(headers);
    if (this.#peerChars.size >= MAX_PEER_STREAMS || chars > MAX_PEER_HEADER_CHARS) return resetStatus.REFUSED_STREAM;
    return undefined;
  }

  /** A stream of the peer that {@link admit} let in. */
  addRemote(stream: SpdyStream): void {
    const chars = charsOf(stream.headers);
    this.#peerHeaderChars += chars;
    this.#peerChars.set(stream.id, chars);
    this.#streams.set(stream.id, stream);
  }

  remove(id: number): void {
    this.#streams.delete(id);
    this.#peerHeaderChars -= this.#peerChars.get(id) ?? 0;
    this.#peerChars.delete(id);
  }

  clear(): void {
    this.#streams.clear();
    this.#peerChars.clear();
    this.#peerHeaderChars = 0;
  }
}

function charsOf(headers: SpdyHeaders): number {
  let chars = 0;
  for (const [name, value] of headers) chars += name.length + value.length;
  return chars;
}
