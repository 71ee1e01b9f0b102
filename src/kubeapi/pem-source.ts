import { readFile, stat } from 'node:fs/promises';
import { ExecPathError, toError } from '../common/errors.ts';

/** PEM text, or the file that holds it and may change. */
export type PemSource = { readonly pem: string } | { readonly file: string };

/** Reads a {@link PemSource}; a file is read again only after it changed. */
export class PemReader {
  readonly #source: PemSource;
  readonly #what: string;
  #stamp = '';
  #pem: string;

  /** @param what `certificate-authority` and the like, for errors */
  constructor(source: PemSource, what: string) {
    this.#source = source;
    this.#what = what;
    this.#pem = 'pem' in source ? source.pem : '';
  }

  /**
   * The text as it is now. A file that vanished or went bad after it was once good keeps its last good text:
   * rotation by remove-and-write must not break those who connect in between.
   *
   * @throws ExecPathError ERR_CERTIFICATE naming the file when it was never readable
   */
  async read(): Promise<string> {
    if (!('file' in this.#source)) return this.#pem;
    const { file } = this.#source;
    try {
      const stamp = await fileStamp(file);
      if (stamp === this.#stamp) return this.#pem;
      const pem = await readFile(file, 'utf8');
      if (!pem.includes('-----BEGIN ')) throw new Error('it holds no PEM block');
      this.#pem = pem;
      this.#stamp = stamp;
    } catch (thrown) {
      if (this.#stamp !== '') return this.#pem;
      const cause = toError(thrown);
      const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : cause.message;
      throw new ExecPathError('ERR_CERTIFICATE', `${this.#what} ${file} cannot be used: ${why}`, { cause });
    }
    return this.#pem;
  }
}

/** Differs whenever the file was written or replaced, also twice within a millisecond. */
async function fileStamp(file: string): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
  return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}
