import { ZStream, zlibInflate, zlibInflateInit2, zlibInflateSetDictionary } from 'pako';
import { DICTIONARY_ID, dictionary } from './dictionary.ts';
import { HeaderBlockParser, headerBlockError, type SpdyHeaders } from './header-block.ts';

const Z_OK = 0;
const Z_SYNC_FLUSH = 2;
const Z_NEED_DICT = 2;
const Z_BUF_ERROR = -5;

const WINDOW_BITS = 15;
const WINDOW_BYTES = 1 << WINDOW_BITS;

/** zlib preamble: deflate with a 32 KiB window, level "fastest", preset dictionary; then the DICTID. */
const preamble = Uint8Array.of(0x78, 0x20, 0xe3, 0xc6, 0xa7, 0xc2);

/** An empty stored block, what Z_SYNC_FLUSH ends with. */
const syncTail = Uint8Array.of(0x00, 0x00, 0x00, 0xff, 0xff);

const MAX_STORED_BYTES = 0xffff;

/**
 * The compression context of one direction. Encode a block and send its frame in one synchronous step: the peer must
 * inflate the blocks in the order in which they were made.
 *
 * It compresses nothing: every block is stored, as zlib's level 0 does. Exec headers are some 40 bytes, sent a handful of
 * times; a deflate context would hold 256 KiB per connection to save half of them. Any inflater reads stored blocks.
 */
export class HeaderDeflater {
  #started = false;
  /** Where the peer's 32 KiB window stands: dictionary first, then every byte sent. */
  #windowAt = dictionary.length;

  /** @returns the block ready for a SYN_STREAM or SYN_REPLY */
  deflate(block: Uint8Array): Uint8Array {
    const parts: Uint8Array[] = this.#started ? [] : [preamble];
    this.#started = true;
    for (let at = 0; at < block.length; at += MAX_STORED_BYTES) {
      const piece = block.subarray(at, at + MAX_STORED_BYTES);
      parts.push(storedHead(piece.length), piece);
    }
    this.#windowAt = (this.#windowAt + block.length) % WINDOW_BYTES;
    // Go's inflater hands out what it has either at the empty stored block or when its window is full. If the window
    // fills with exactly the last byte, spdystream stops reading before the empty block and ends the connection over
    // 5 left-over bytes. So at that one position the block goes without.
    if (this.#windowAt !== 0) parts.push(syncTail);
    return Buffer.concat(parts);
  }
}

function storedHead(length: number): Uint8Array {
  const head = Buffer.allocUnsafe(5);
  head[0] = 0;
  head.writeUInt16LE(length, 1);
  head.writeUInt16LE(~length & 0xffff, 3);
  return head;
}

/** Inflating is synchronous, so all connections share the place where its output lands. */
const scratch = new Uint8Array(16 * 1024);

/**
 * The decompression context of one direction. Holds zlib's 32 KiB window from the first block on.
 *
 * Feed it every block of every SYN_STREAM, SYN_REPLY and HEADERS frame, also of those that are to be ignored.
 */
export class HeaderInflater {
  #stream: ZStream | undefined;
  #parser = new HeaderBlockParser();

  /**
   * Takes the next compressed bytes of the current block, as they arrive.
   *
   * @throws ProtocolError ERR_HEADER_BLOCK; the context is unusable afterwards
   */
  push(compressed: Uint8Array): void {
    const stream = (this.#stream ??= startInflate());
    stream.input = compressed;
    stream.next_in = 0;
    stream.avail_in = compressed.length;
    do {
      stream.output = scratch;
      stream.next_out = 0;
      stream.avail_out = scratch.length;
      const status = inflate(stream);
      this.#parser.push(scratch.subarray(0, stream.next_out));
      // Z_BUF_ERROR says only that there was nothing more to give.
      if (status !== Z_OK && status !== Z_BUF_ERROR) throw brokenStream(stream, status);
    } while (stream.avail_out === 0);
    if (stream.avail_in > 0) throw brokenStream(stream, Z_BUF_ERROR);
    stream.input = empty;
  }

  /**
   * The block's frame is over.
   *
   * @throws ProtocolError ERR_HEADER_BLOCK when the block is incomplete
   */
  finish(): SpdyHeaders {
    const headers = this.#parser.finish();
    this.#parser = new HeaderBlockParser();
    return headers;
  }
}

const empty = new Uint8Array(0);

function startInflate(): ZStream {
  const stream = new ZStream();
  const status = zlibInflateInit2(stream, WINDOW_BITS);
  if (status !== Z_OK) throw headerBlockError(`inflate cannot start: status ${status}`);
  return stream;
}

function inflate(stream: ZStream): number {
  const status = zlibInflate(stream, Z_SYNC_FLUSH);
  if (status !== Z_NEED_DICT) return status;
  if (stream.adler !== DICTIONARY_ID && stream.adler >>> 0 !== DICTIONARY_ID) {
    throw headerBlockError(`a header block wants dictionary ${(stream.adler >>> 0).toString(16)}, not e3c6a7c2`);
  }
  zlibInflateSetDictionary(stream, dictionary);
  return zlibInflate(stream, Z_SYNC_FLUSH);
}

function brokenStream(stream: ZStream, status: number): Error {
  const what = status === 1 ? 'ends the compressed stream' : `does not inflate: ${stream.msg || `status ${status}`}`;
  return headerBlockError(`a header block ${what}`);
}
