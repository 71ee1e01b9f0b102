import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext, type SecureContext, type SecureContextOptions, type Server } from 'node:tls';
import { ExecPathError, toError } from '../common/errors.ts';
import { SingleFlight } from '../common/single-flight.ts';
import { assertPair } from './authority.ts';

export interface TlsFiles {
  /** PEM; the certificate first, then its intermediates. With `keyFile` or not at all. */
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** PEM bundle: whom to trust. */
  readonly caFile?: string | undefined;
}

/** PEM texts that belong together. */
export type TlsMaterial = Pick<SecureContextOptions, 'cert' | 'key' | 'ca'>;

export interface ReloadingTlsOptions {
  /** How often the files are looked at. Default {@link TLS_POLL_MS}. */
  readonly pollMs?: number;
  /** Told after a change took effect. */
  readonly onReload?: () => void;
  /** Told once of each change that two looks found unusable; what was good before stays in force. */
  readonly onError?: (error: ExecPathError) => void;
}

export const TLS_POLL_MS = 5000;

/**
 * Certificate, key and CA bundle that follow their files, for servers and clients. Polled: what `fs.watch` says of
 * replaced files, mounted folders and symlinks differs from system to system.
 *
 * Owns: a timer that keeps no process alive, until `close`.
 */
export class ReloadingTls implements Disposable {
  readonly #files: TlsFiles;
  readonly #options: ReloadingTlsOptions;
  readonly #listeners = new Set<() => void>();
  #material: TlsMaterial = {};
  #context: SecureContext | undefined;
  #stamp = '';
  /** Seen broken once. */
  #suspect = '';
  readonly #looking = new SingleFlight(() => this.#look());
  #timer: NodeJS.Timeout | undefined;

  private constructor(files: TlsFiles, options: ReloadingTlsOptions) {
    this.#files = files;
    this.#options = options;
  }

  /** @throws ExecPathError ERR_CERTIFICATE when the files cannot be used now */
  static async load(files: TlsFiles, options: ReloadingTlsOptions = {}): Promise<ReloadingTls> {
    const tls = new ReloadingTls(files, options);
    // The stamp first: a change in between is then seen at the next look.
    const stamp = await stampOf(files);
    tls.#take(await readMaterial(files), stamp);
    tls.#timer = setInterval(() => void tls.check(), options.pollMs ?? TLS_POLL_MS).unref();
    return tls;
  }

  /** What is in force now, for `tls.connect` or `https.createServer`. */
  get material(): TlsMaterial {
    return this.#material;
  }

  /** The same as a context, made once per change. */
  get secureContext(): SecureContext {
    this.#context ??= createSecureContext({ ...this.#material, minVersion: 'TLSv1.2' });
    return this.#context;
  }

  /**
   * Keeps `server` (tls, https or secure http2) in step: new connections get what is in force when they come.
   *
   * @param base what else the context has, such as `ciphers`; `minVersion` is TLSv1.2 unless it says otherwise
   * @returns ends it
   */
  serve(server: Pick<Server, 'setSecureContext'>, base: SecureContextOptions = {}): () => void {
    const apply = (): void => server.setSecureContext({ minVersion: 'TLSv1.2', ...base, ...this.#material });
    apply();
    this.#listeners.add(apply);
    return () => void this.#listeners.delete(apply);
  }

  /** Looks at the files now. Never rejects. @returns whether something new took effect */
  check(): Promise<boolean> {
    return this.#looking.run();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #look(): Promise<boolean> {
    const stamp = await stampOf(this.#files);
    if (stamp === this.#stamp) return false;
    try {
      this.#take(await readMaterial(this.#files), stamp);
    } catch (cause) {
      // Certificate and key are two files: in between their replacements they do not match. Wait for the next look.
      const isNew = this.#suspect !== stamp;
      this.#suspect = stamp;
      if (isNew) return false;
      this.#stamp = stamp;
      this.#options.onError?.(asCertificateError(cause));
      return false;
    }
    this.#options.onReload?.();
    return true;
  }

  #take(material: TlsMaterial, stamp: string): void {
    this.#material = material;
    this.#context = undefined;
    this.#stamp = stamp;
    for (const listener of this.#listeners) listener();
  }
}

async function readMaterial({ certificateFile, keyFile, caFile }: TlsFiles): Promise<TlsMaterial> {
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    throw new ExecPathError('ERR_CERTIFICATE', 'a certificate file and its key file go together: give both or none');
  }
  const [cert, key, ca] = await Promise.all([certificateFile, keyFile, caFile].map((file) => readPem(file)));
  if (cert !== undefined && key !== undefined) {
    withFile(`${certificateFile} and ${keyFile}`, () => assertPair({ certificate: cert, key }));
  }
  if (ca !== undefined) withFile(String(caFile), () => assertBundle(ca));
  return {
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...(ca === undefined ? {} : { ca }),
  };
}

async function readPem(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ExecPathError('ERR_CERTIFICATE', `${file} cannot be read: ${toError(cause).message}`, { cause });
  });
}

/** OpenSSL passes over what it cannot read in a bundle, and would then trust nobody without a word. */
function assertBundle(pem: string): void {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error('it holds no certificate');
  for (const block of blocks) void new X509Certificate(block);
}

function withFile(file: string, check: () => void): void {
  try {
    check();
  } catch (cause) {
    throw new ExecPathError('ERR_CERTIFICATE', `${file} cannot be used: ${toError(cause).message}`, { cause });
  }
}

function asCertificateError(cause: unknown): ExecPathError {
  if (cause instanceof ExecPathError) return cause;
  return new ExecPathError('ERR_CERTIFICATE', toError(cause).message, { cause });
}

/** Differs whenever a file was written, replaced or removed. */
async function stampOf(files: TlsFiles): Promise<string> {
  const stamps = [files.certificateFile, files.keyFile, files.caFile].map(async (file) => {
    if (file === undefined) return '';
    const found = await stat(file, { bigint: true }).catch(() => undefined);
    return found === undefined ? 'gone' : `${found.ino}:${found.size}:${found.mtimeNs}:${found.ctimeNs}`;
  });
  return (await Promise.all(stamps)).join(' ');
}
