import type { Duplex } from 'node:stream';

/** Pieces up to this size are copied together into one write, larger ones are written as they are, in bytes. */
const COPY_BYTES = 4096;

type Done = () => void;

interface Batch {
  readonly pieces: Uint8Array[];
  readonly dones: Done[];
  replyBytes: number;
}

/**
 * The write side of one socket: frames go out whole and in order, all frames of one tick in one write.
 *
 * A frame's `done` runs when the socket has taken it, or when the writer is given up: then what was written goes nowhere,
 * and the connection's `closed` says so.
 */
export class FrameWriter {
  readonly #socket: Duplex;
  readonly #onTaken: () => void;
  /** Batches that the socket has not taken yet, the one being filled among them. */
  readonly #inFlight = new Set<Batch>();
  #batch: Batch | undefined;
  #replyBytes = 0;
  #abandoned = false;

  /** @param onTaken runs each time the socket has taken a batch */
  constructor(socket: Duplex, onTaken: () => void) {
    this.#socket = socket;
    this.#onTaken = onTaken;
  }

  /** True when the socket has taken everything: the peer reads. */
  get idle(): boolean {
    return this.#inFlight.size === 0;
  }

  /** Bytes of answers that wait for the peer to read: it causes them without back-pressure, so somebody must count. */
  get replyBytes(): number {
    return this.#replyBytes;
  }

  /**
   * Queues one frame.
   *
   * @param pieces its bytes; not to be changed before `done`
   */
  send(pieces: readonly Uint8Array[], done?: Done): void {
    if (this.#abandoned) {
      done?.();
      return;
    }
    const batch = this.#openBatch();
    batch.pieces.push(...pieces);
    if (done !== undefined) batch.dones.push(done);
  }

  /** Queues a frame that answers one of the peer's. */
  reply(frame: Uint8Array): void {
    if (this.#abandoned) return;
    const batch = this.#openBatch();
    batch.pieces.push(frame);
    batch.replyBytes += frame.length;
    this.#replyBytes += frame.length;
  }

  /** Hands everything queued to the socket now. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const runs = coalesce(batch.pieces.splice(0));
    const last = runs.length - 1;
    if (last > 0) this.#socket.cork();
    runs.forEach((run, index) => this.#socket.write(run, index === last ? () => this.#settle(batch) : undefined));
    if (last > 0) this.#socket.uncork();
  }

  /** Nothing is written any more; everybody who waits is told. */
  abandon(): void {
    this.#abandoned = true;
    this.#batch = undefined;
    for (const batch of this.#inFlight) this.#settle(batch);
  }

  #openBatch(): Batch {
    if (this.#batch === undefined) {
      this.#batch = { pieces: [], dones: [], replyBytes: 0 };
      this.#inFlight.add(this.#batch);
      process.nextTick(() => this.flush());
    }
    return this.#batch;
  }

  #settle(batch: Batch): void {
    if (!this.#inFlight.delete(batch)) return;
    this.#replyBytes -= batch.replyBytes;
    for (const done of batch.dones) done();
    this.#onTaken();
  }
}

/** Joins neighbours that are small. */
function coalesce(pieces: readonly Uint8Array[]): Uint8Array[] {
  const runs: Uint8Array[] = [];
  let small: Uint8Array[] = [];
  const close = (): void => {
    const [only] = small;
    if (only !== undefined) runs.push(small.length === 1 ? only : Buffer.concat(small));
    small = [];
  };
  for (const piece of pieces) {
    if (piece.length <= COPY_BYTES) small.push(piece);
    else {
      close();
      runs.push(piece);
    }
  }
  close();
  return runs;
}
