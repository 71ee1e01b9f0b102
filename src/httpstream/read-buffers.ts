/** The buffer that sockets without much traffic share, in bytes. */
const SCRATCH_READ_BYTES = 64 * 1024;

/** Read buffer of a TCP socket that filled the shared one, in bytes. */
export const BULK_READ_BYTES = 1024 * 1024;

/** The most that TLS gives at once, in bytes: the plaintext of one record (RFC 8446, 5.1). */
const TLS_RECORD_BYTES = 16 * 1024;

/** Full records that are handed on together. */
const TLS_RECORDS_PER_BLOCK = 64;

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

/** Room for several records in a row. */
class Block {
  readonly bytes = Buffer.allocUnsafeSlow(TLS_RECORDS_PER_BLOCK * TLS_RECORD_BYTES);
  readonly windows: readonly Buffer[] = Array.from({ length: TLS_RECORDS_PER_BLOCK }, (_, index) =>
    this.bytes.subarray(index * TLS_RECORD_BYTES, (index + 1) * TLS_RECORD_BYTES),
  );
  /** Its reader, and each lease of a part of it that was not released yet. */
  users = 1;

  letGo(): void {
    this.users -= 1;
    if (this.users > 0) return;
    this.users = 1;
    keep(spareBlocks, this);
  }
}

const spareBlocks: Block[] = [];

/**
 * Where a TLS socket decrypts to next. TLS gives one record at a time; to hand on each by itself costs more than to
 * decrypt it. Full records, the middle of something large, are put side by side in a block, and go on together when it
 * is full, when a shorter record ends them, or when the event loop has come round.
 */
export class TlsReadBuffers {
  readonly #sink: ReadSink;
  /** From the next read on; the socket knows where it reads to until then. */
  #block: Block | undefined;
  /** Records of the block that were handed on, and that were read. */
  #from = 0;
  #to = 0;
  #isBulk = false;
  #flush: NodeJS.Immediate | undefined;

  constructor(sink: ReadSink) {
    this.#sink = sink;
  }

  next(): Buffer {
    if (!this.#isBulk) return scratch;
    this.#block ??= spareBlocks.pop() ?? new Block();
    return this.#block.windows[this.#to] ?? scratch;
  }

  /** @returns false to stop reading */
  filled(length: number): boolean {
    this.#isBulk = length === TLS_RECORD_BYTES;
    if (this.#block === undefined) {
      this.#sink.take(copyOfScratch(length));
    } else if (this.#isBulk && this.#to + 1 < TLS_RECORDS_PER_BLOCK) {
      this.#to += 1;
      this.#flush ??= setImmediate(() => this.flush());
    } else {
      this.flush(length);
      this.#leaveBlock();
    }
    return this.#sink.wantsMore();
  }

  /** Hands on what was read so far. @param last bytes of one more record, which ends the block */
  flush(last = 0): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    const block = this.#block;
    const start = this.#from * TLS_RECORD_BYTES;
    const end = this.#to * TLS_RECORD_BYTES + last;
    if (block === undefined || end === start) return;
    this.#from = this.#to;
    block.users += 1;
    this.#sink.take({ bytes: block.bytes.subarray(start, end), release: () => block.letGo() });
  }

  /** The socket is gone. */
  close(): void {
    this.flush();
    this.#leaveBlock();
  }

  #leaveBlock(): void {
    this.#block?.letGo();
    this.#block = undefined;
    this.#from = 0;
    this.#to = 0;
  }
}
