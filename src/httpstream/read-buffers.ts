/** The buffer that sockets without much traffic share, in bytes. */
const SCRATCH_READ_BYTES = 64 * 1024;

/** Read buffer of a TCP socket that filled the shared one, in bytes. */
export const BULK_READ_BYTES = 1024 * 1024;

/** The most that TLS gives at once, in bytes: the plaintext of one record (RFC 8446, 5.1). */
const TLS_RECORD_BYTES = 16 * 1024;

/** Records are handed on together up to this many bytes. */
const TLS_BLOCK_BYTES = 1024 * 1024;

/** Buffers of each size kept for the next read, over all sockets of the process. */
const SPARE_BUFFERS = 8;

/** A read buffer that its reader gives back when the bytes have left the process. */
export interface Lease {
  /** The bytes that were read. Valid until `release`. */
  readonly bytes: Buffer;
  /** Call once, when nobody needs `bytes` any longer. */
  readonly release: () => void;
}

/** Where reads go. */
export interface ReadSink {
  /** Owns the lease. */
  take(lease: Lease): void;
  /** False: the socket is to stop reading until somebody resumes it. */
  wantsMore(): boolean;
}

/**
 * Sockets read into it and their bytes are copied out before another one can: an idle socket costs no buffer.
 */
const scratch = Buffer.allocUnsafeSlow(SCRATCH_READ_BYTES);

const copyOfScratch = (length: number): Lease => ({
  bytes: Buffer.from(scratch.subarray(0, length)),
  release: () => {},
});

const spareBuffers: Buffer[] = [];

/**
 * Where a TCP socket reads to next: the shared buffer, and after a read that filled it a large one of its own for as
 * long as that is filled too. A large buffer goes on to the taker as it is, without a copy.
 */
export class ReadBuffers {
  readonly #sink: ReadSink;
  #isBulk = false;
  #current: Buffer = scratch;

  constructor(sink: ReadSink) {
    this.#sink = sink;
  }

  next(): Buffer {
    this.#current = this.#isBulk ? (spareBuffers.pop() ?? Buffer.allocUnsafeSlow(BULK_READ_BYTES)) : scratch;
    return this.#current;
  }

  /** @returns false to stop reading */
  filled(length: number): boolean {
    const used = this.#current;
    this.#isBulk = length === used.length;
    this.#sink.take(
      used === scratch
        ? copyOfScratch(length)
        : { bytes: used.subarray(0, length), release: () => keep(spareBuffers, used) },
    );
    return this.#sink.wantsMore();
  }

  /** Nothing is held back. */
  flush(): void {}

  /** The socket is gone. */
  close(): void {
    if (this.#current !== scratch) keep(spareBuffers, this.#current);
    this.#current = scratch;
  }
}

function keep<Item>(spare: Item[], item: Item): void {
  if (spare.length < SPARE_BUFFERS) spare.push(item);
}

const spareBlocks: Buffer[] = [];

/**
 * Where a TLS socket decrypts to next: always the shared buffer. TLS gives one record at a time, and to hand on each by
 * itself costs more than to decrypt it. In the middle of something large, which is where records are full, they are put
 * together in a block, short ones too (Go writes a frame's header as a record of its own). The block goes on when it is
 * full or when the event loop has come round. A record that comes alone goes on at once.
 */
export class TlsReadBuffers {
  readonly #sink: ReadSink;
  #block: Buffer | undefined;
  #length = 0;
  /** Was there a full record since the last look? */
  #hasFull = false;
  #isBulk = false;
  #flush: NodeJS.Immediate | undefined;

  constructor(sink: ReadSink) {
    this.#sink = sink;
  }

  next(): Buffer {
    return scratch;
  }

  /** @returns false to stop reading */
  filled(length: number): boolean {
    const isFull = length >= TLS_RECORD_BYTES;
    this.#hasFull ||= isFull;
    if (isFull || this.#isBulk) this.#gather(length);
    else this.#sink.take(copyOfScratch(length));
    return this.#sink.wantsMore();
  }

  /** Hands on what was gathered so far. */
  flush(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    this.#isBulk = this.#hasFull;
    this.#hasFull = false;
    this.#handOn();
  }

  /** The socket is gone. */
  close(): void {
    this.flush();
  }

  #gather(length: number): void {
    this.#isBulk = true;
    if (this.#length + length > TLS_BLOCK_BYTES) this.#handOn();
    this.#block ??= spareBlocks.pop() ?? Buffer.allocUnsafeSlow(TLS_BLOCK_BYTES);
    scratch.copy(this.#block, this.#length, 0, length);
    this.#length += length;
    this.#flush ??= setImmediate(() => this.flush());
  }

  #handOn(): void {
    const block = this.#block;
    const bytes = block?.subarray(0, this.#length);
    this.#block = undefined;
    this.#length = 0;
    if (block === undefined || bytes === undefined) return;
    this.#sink.take({ bytes, release: () => keep(spareBlocks, block) });
  }
}
