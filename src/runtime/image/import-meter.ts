import { statfsSync } from 'node:fs';
import { type ErrorCode, ExecPathError, toError } from '../../common/errors.ts';

/** What an import does just now. */
export interface ImportProgress {
  /** `archive`: it is taken apart; `verify`: a layer's digest is computed; `unpack`: its files are written. */
  readonly step: 'archive' | 'verify' | 'unpack';
  /** Number of the layer, from 1. */
  readonly at: number;
  readonly of: number;
  /** Of this step so far; uncompressed but for `verify`. */
  readonly bytes: number;
}

export interface MeterOptions {
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly signal?: AbortSignal;
}

/** Between two words to those who wait, in ms. */
const TELL_EVERY_MS = 100;
/** How often the disk is looked at, in bytes read. */
const LOOK_EVERY_BYTES = 16 * 1024 * 1024;
/** An import leaves this much of the disk free, in bytes, or a twentieth of a small one. */
const RESERVE_BYTES = 512 * 1024 * 1024;

/** Counts the bytes of one import, tells of them, and ends it when it is not wanted any more or would fill the disk. */
export class ImportMeter {
  readonly #folder: string;
  readonly #options: MeterOptions;
  #progress: ImportProgress = { step: 'archive', at: 1, of: 1, bytes: 0 };
  #toldAt = 0;
  #sinceLook = 0;

  /** @param folder where the import writes */
  constructor(folder: string, options: MeterOptions = {}) {
    this.#folder = folder;
    this.#options = options;
  }

  begin(step: Omit<ImportProgress, 'bytes'>): void {
    this.#progress = { ...step, bytes: 0 };
    this.#tell();
  }

  /** @throws from the iteration: ExecPathError ERR_IMAGE_SPACE, the signal's reason */
  async *through(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of source) {
      this.#options.signal?.throwIfAborted();
      this.#progress = { ...this.#progress, bytes: this.#progress.bytes + chunk.length };
      this.#sinceLook += chunk.length;
      if (this.#sinceLook >= LOOK_EVERY_BYTES) this.#look();
      if (performance.now() - this.#toldAt >= TELL_EVERY_MS) this.#tell();
      yield chunk;
    }
  }

  #tell(): void {
    this.#toldAt = performance.now();
    this.#options.onProgress?.(this.#progress);
  }

  #look(): void {
    this.#sinceLook = 0;
    const { bavail, blocks, bsize } = statfsSync(this.#folder);
    const [free, reserve] = [bavail * bsize, Math.min(RESERVE_BYTES, (blocks * bsize) / 20)];
    if (free < reserve) throw full(`${Math.floor(free / 1024 / 1024)} MiB are left where ${this.#folder} is`);
  }
}

function full(message: string, cause?: unknown): ExecPathError {
  return new ExecPathError('ERR_IMAGE_SPACE', `the image does not fit on the disk: ${message}`, { cause });
}

/** What went wrong with the member `name`: an error of the system becomes one of ours. */
export function failureAt(name: string, thrown: unknown, code: ErrorCode): unknown {
  const systemCode = (thrown as NodeJS.ErrnoException).code;
  if (thrown instanceof ExecPathError || typeof systemCode !== 'string') return thrown;
  const { message } = toError(thrown);
  if (systemCode === 'ENOSPC' || systemCode === 'EDQUOT') return full(message, thrown);
  return new ExecPathError(code, `member ${JSON.stringify(name.slice(0, 200))}: ${message}`, { cause: thrown });
}
