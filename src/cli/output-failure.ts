import { setImmediate } from 'node:timers/promises';
import { toError } from '../common/errors.ts';
import type { LocalOutput } from './io.ts';

/** What a disk says that takes no more. A reader that left (EPIPE) is another thing: that is its own wish. */
const DISK_CODES: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO']);

/**
 * Notes whether all that is written to an output gets to where it was to go. It asks the output's events, for stdout
 * forgets its own failure.
 */
export class OutputFailure implements Disposable {
  readonly #out: LocalOutput;
  #text: string | undefined;

  constructor(out: LocalOutput) {
    this.#out = out;
    out.on('error', this.#note);
  }

  /** Why a part of the output is missing; undefined when none is. */
  async text(): Promise<string | undefined> {
    // A write tells its failure after the call.
    await setImmediate();
    return this.#text;
  }

  [Symbol.dispose](): void {
    this.#out.off('error', this.#note);
  }

  readonly #note = (thrown: unknown): void => {
    const cause: NodeJS.ErrnoException = toError(thrown);
    if (DISK_CODES.has(cause.code)) this.#text ??= cause.message;
  };
}
