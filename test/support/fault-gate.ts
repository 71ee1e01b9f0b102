import type { Buffer } from 'node:buffer';
import { Transform, type TransformCallback } from 'node:stream';

/** Lets a number of bytes pass, then none: it holds what comes next for ever and so stops its source. */
export class FaultGate extends Transform {
  #left: number;
  readonly #onShut: () => void;

  /**
   * @param bytes how many pass; infinite for an open gate
   * @param onShut called once, after the last byte has passed and when a further one is there
   */
  constructor(bytes: number, onShut: () => void) {
    super();
    this.#left = bytes;
    this.#onShut = onShut;
  }

  /** Nothing passes from now on; `onShut` is not called. */
  shut(): void {
    this.#left = -1;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#left < 0) return;
    if (chunk.length <= this.#left) {
      this.#left -= chunk.length;
      done(null, chunk);
      return;
    }
    if (this.#left > 0) this.push(chunk.subarray(0, this.#left));
    this.#left = -1;
    // After the bytes before it have been handed to the socket.
    setImmediate(this.#onShut);
  }

  override _flush(done: TransformCallback): void {
    // The end of a stalled direction does not pass either.
    if (this.#left >= 0) done();
  }
}
