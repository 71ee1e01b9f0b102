import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, posix } from 'node:path';
import { ExecPathError, toError } from '../../common/errors.ts';
import { readUncompressed } from './decompress.ts';
import { failureAt, type ImportMeter } from './import-meter.ts';
import { RootFolder } from './root-folder.ts';
import { readTar, type TarMember } from './tar-reader.ts';

/** Of an index, a manifest or a configuration; real ones have less than 100 KiB. */
const MAX_JSON_BYTES = 4 * 1024 * 1024;

/** The files of an image archive or layout. */
export class ImageFiles {
  readonly #root: RootFolder;
  /** Links of old `docker save` archives: name → name. */
  readonly #links: ReadonlyMap<string, string>;

  private constructor(root: RootFolder, links: ReadonlyMap<string, string>) {
    this.#root = root;
    this.#links = links;
  }

  /**
   * Opens an OCI layout folder as it is, or a tar archive (plain, gzip, zstd) by taking it apart into `stagingDir`.
   *
   * @throws ExecPathError ERR_IMAGE_ARCHIVE
   */
  static async open(path: string, stagingDir: string, meter: ImportMeter): Promise<ImageFiles> {
    let isFolder: boolean;
    try {
      isFolder = statSync(path).isDirectory();
    } catch (cause) {
      throw new ExecPathError('ERR_IMAGE_ARCHIVE', `${path} cannot be read: ${toError(cause).message}`, { cause });
    }
    if (isFolder) return new ImageFiles(new RootFolder(path), new Map());
    const root = new RootFolder(stagingDir);
    mkdirSync(stagingDir, { recursive: true, mode: 0o700 });
    return ImageFiles.#unpack(path, root, meter).catch((thrown: unknown) => {
      if (!(thrown instanceof ExecPathError) || thrown.code !== 'ERR_IMAGE_ARCHIVE') throw thrown;
      throw new ExecPathError(thrown.code, `${path}: ${thrown.message}`, { cause: thrown });
    });
  }

  static async #unpack(path: string, root: RootFolder, meter: ImportMeter): Promise<ImageFiles> {
    const links = new Map<string, string>();
    for await (const member of readTar(meter.through(readUncompressed(path)))) {
      const name = plainName(member.name);
      if (member.kind === 'symlink') links.set(name, plainName(posix.join(dirname(name), member.target)));
      if (member.kind === 'hardlink') links.set(name, plainName(member.target));
      if (member.kind === 'file') await ImageFiles.#take(root, name, member);
    }
    return new ImageFiles(root, links);
  }

  static async #take(root: RootFolder, name: string, { body }: TarMember): Promise<void> {
    try {
      const file = await open(root.place(name), 'w', 0o600);
      try {
        for await (const chunk of body) await file.write(chunk);
      } finally {
        await file.close();
      }
    } catch (thrown) {
      throw failureAt(name, thrown, 'ERR_IMAGE_ARCHIVE');
    }
  }

  has(name: string): boolean {
    return statSync(this.path(name), { throwIfNoEntry: false })?.isFile() === true;
  }

  /** Where the file `name` is, or would be. @throws ExecPathError ERR_IMAGE_ARCHIVE for a name that leaves the archive */
  path(name: string): string {
    const plain = plainName(name);
    return `${this.#root.path}/${this.#links.get(plain) ?? plain}`;
  }

  /** @throws ExecPathError ERR_IMAGE_ARCHIVE when it is missing or larger than an index or manifest can be */
  read(name: string): Buffer {
    const stats = statSync(this.path(name), { throwIfNoEntry: false });
    if (stats?.isFile() !== true)
      throw new ExecPathError('ERR_IMAGE_ARCHIVE', `the archive has no file ${JSON.stringify(name)}`);
    if (stats.size > MAX_JSON_BYTES) {
      const rule = `file ${JSON.stringify(name)} has ${stats.size} bytes, more than ${MAX_JSON_BYTES}`;
      throw new ExecPathError('ERR_IMAGE_ARCHIVE', rule);
    }
    return readFileSync(this.path(name));
  }
}

function plainName(name: string): string {
  const plain = posix.normalize(name).replace(/^\/+/, '');
  if (plain !== '..' && !plain.startsWith('../') && !plain.includes('\0')) return plain;
  throw new ExecPathError('ERR_IMAGE_ARCHIVE', `name ${JSON.stringify(name)} leaves the archive`);
}
