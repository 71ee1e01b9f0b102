import type { Buffer } from 'node:buffer';
import { Duplex } from 'node:stream';

type Done = (error?: Error | null) => void;

/** Bytes that each direction holds for a slow reader, and as many again for an eager writer. */
const PAIR_BUFFER_BYTES = 16 * 1024;

/**
 * Two ends of a connection in memory: what one writes the other reads. A write completes when the other side has taken
 * it, `end()` half-closes, `destroy()` of one end destroys the other without an error, as a FIN both ways would.
 */
export function duplexPair(highWaterMark: number = PAIR_BUFFER_BYTES): [Duplex, Duplex] {
  const near = new PairEnd(highWaterMark);
  const far = new PairEnd(highWaterMark);
  near.join(far);
  far.join(near);
  return [near, far];
}

class PairEnd extends Duplex {
  #other: PairEnd | undefined;
  /** The other side's write, held until this side reads again. */
  #held: Done | undefined;

  constructor(highWaterMark: number) {
    super({ allowHalfOpen: true, highWaterMark });
  }

  join(other: PairEnd): void {
    this.#other = other;
  }

  override _read(): void {
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: Done): void {
    // The reader must not run inside the writer's call, as it never does on a socket.
    process.nextTick(() => this.#other?.receive(bytes, done));
  }

  override _final(done: Done): void {
    process.nextTick(() => {
      this.#other?.receive(null, done);
    });
  }

  override _destroy(error: Error | null, done: Done): void {
    const held = this.#held;
    this.#held = undefined;
    held?.();
    const other = this.#other;
    process.nextTick(() => other?.destroy());
    done(error);
  }

  receive(bytes: Buffer | null, done: Done): void {
    if (this.destroyed) done();
    else if (bytes === null) {
      this.push(null);
      done();
    } else if (this.push(bytes)) done();
    else this.#held = done;
  }
}
