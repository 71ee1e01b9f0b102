import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ExecPathError, toError } from '../../common/errors.ts';
import { writeWhole } from '../whole-file.ts';
import { ImageFiles } from './archive.ts';
import { readUncompressed } from './decompress.ts';
import { type ImageRecord, RECORD, readWithNames, writeLaterName } from './image-record.ts';
import { ImportMeter, type ImportProgress } from './import-meter.ts';
import { type ArchivedImage, type ImageConfig, imagesOf } from './manifest.ts';
import { mountTables } from './mount-tables.ts';
import { fullReference, isDigest, nameOf } from './reference.ts';
import { RootFolder } from './root-folder.ts';
import { unpackLayer } from './unpack-layer.ts';

/** An image that is there. */
export interface StoredImage {
  /** `sha256:…`, the digest of its configuration. */
  readonly id: string;
  /** `name:tag`, sorted */
  readonly repoTags: readonly string[];
  /** `name@sha256:…`, sorted */
  readonly repoDigests: readonly string[];
  /** Of its files, at least 1. */
  readonly sizeBytes: number;
  readonly config: ImageConfig;
  /** Its root folder on this machine; nobody may write there. */
  readonly rootfs: string;
}

/** An image that an import took in. */
export interface ImportedImage extends StoredImage {
  /** Those that it got by this import: first the archive's, then those that were asked for. */
  readonly names: readonly string[];
}

export interface ImportOptions {
  /** Names to give beside those of the archive, such as `registry.k8s.io/pause:3.9`; with several images the first one's. */
  readonly names?: readonly string[];
  /** Told a few times a second what is being done. */
  readonly onProgress?: (progress: ImportProgress) => void;
  /** Its abort ends the import and leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/** Folders of imports under way and of images removed while they were in use begin with a dot. */
const IMPORTING = /^\.import-(\d+)-/;
const REMOVED = /^\.removed-([0-9a-f]{64})-/;

/**
 * The images of one state folder: each in a folder of its own with its unpacked root file system and a record. Several
 * processes may use it at once: everything appears and goes by rename(2), and every look is at the disk.
 *
 * Layers are unpacked once, at the import, and not kept.
 */
export class ImageStore {
  /** `<stateDir>/images` */
  readonly path: string;

  /** @param stateDir the runtime's folder; made 0700 when missing, at the first import */
  constructor(stateDir: string) {
    this.path = join(stateDir, 'images');
  }

  /**
   * Takes in the images of an OCI layout folder, an OCI archive or a `docker save` archive.
   *
   * @returns the images, as they now are
   * @throws ExecPathError ERR_IMAGE_ARCHIVE, ERR_IMAGE_DIGEST, ERR_IMAGE_LAYER, ERR_IMAGE_SPACE; the signal's reason;
   * nothing is left of a failed import
   */
  async import(file: string, options: ImportOptions = {}): Promise<ImportedImage[]> {
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    this.sweep();
    const work = join(this.path, `.import-${process.pid}-${randomBytes(6).toString('hex')}`);
    mkdirSync(work, { mode: 0o700 });
    try {
      const meter = new ImportMeter(work, options);
      meter.begin({ step: 'archive', at: 1, of: 1 });
      const archived = imagesOf(await ImageFiles.open(file, join(work, 'archive'), meter));
      const imported: ImportedImage[] = [];
      for (const [at, image] of archived.entries()) {
        const names = [...image.names, ...(at === 0 ? (options.names ?? []) : [])].map(fullReference);
        await this.#add(image, names, { work: join(work, String(at)), meter });
        const stored = this.find(image.id);
        if (stored !== undefined) imported.push({ ...stored, names: [...new Set(names)] });
      }
      return imported;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  /** All images, by id. */
  list(): StoredImage[] {
    const records = this.#records();
    const owners = new Map<string, { readonly id: string; readonly at: number }>();
    for (const { id, tags } of records) {
      for (const [tag, at] of Object.entries(tags)) {
        if (at > (owners.get(tag)?.at ?? -1)) owners.set(tag, { id, at });
      }
    }
    return records.map(({ id, tags, digests, sizeBytes, config }) => ({
      id,
      repoTags: Object.keys(tags)
        .filter((tag) => owners.get(tag)?.id === id)
        .sort(),
      repoDigests: [...digests].sort(),
      sizeBytes,
      config,
      rootfs: join(this.#folder(id), 'rootfs'),
    }));
  }

  /** @param reference id, id without `sha256:`, the beginning of exactly one, name, name:tag or name@digest */
  find(reference: string): StoredImage | undefined {
    const images = this.list();
    const exact = images.find(({ id }) => id === reference);
    if (exact !== undefined || isDigest(reference)) return exact;
    if (/^[0-9a-f]{7,64}$/.test(reference)) {
      const matches = images.filter(({ id }) => id.startsWith(`sha256:${reference}`));
      if (matches.length === 1) return matches[0];
    }
    if (reference === '') return undefined;
    const full = fullReference(reference);
    return images.find(({ repoTags, repoDigests }) => repoTags.includes(full) || repoDigests.includes(full));
  }

  /** Whether a container that is there has this image's files below its own. */
  isInUse({ id }: StoredImage): boolean {
    return isMounted(this.#folder(id));
  }

  /**
   * Takes a tag away from the image that has it, and from those that had it before; all of them stay. References by
   * digest whose name no tag of the image bears any more go with it.
   *
   * @param tag `name:tag`, in full
   */
  untag(tag: string): void {
    const name = nameOf(tag);
    const removedAt = Date.now();
    for (const { id, tags, digests } of this.#records()) {
      if (!(tag in tags)) continue;
      const isLast = !Object.keys(tags).some((other) => other !== tag && nameOf(other) === name);
      const lost = isLast ? digests.filter((digest) => nameOf(digest) === name) : [];
      try {
        writeLaterName(this.#folder(id), { tag, removedAt });
        for (const digest of lost) writeLaterName(this.#folder(id), { digest, removedAt });
      } catch (thrown) {
        // The whole image went meanwhile, and its names with it.
        if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
      }
    }
  }

  /** Removes an image with all its names; the files of one in use stay until it is not. @returns false when there is none */
  async remove(reference: string): Promise<boolean> {
    const image = this.find(reference);
    if (image === undefined) return false;
    const folder = this.#folder(image.id);
    const removed = join(this.path, `.removed-${image.id.slice('sha256:'.length)}-${randomBytes(4).toString('hex')}`);
    try {
      renameSync(folder, removed);
    } catch (thrown) {
      // Somebody else removed it at the same time.
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw thrown;
    }
    if (!isMounted(folder)) await rm(removed, { recursive: true, force: true });
    return true;
  }

  /** Removes what imports that were killed left behind, and the files of removed images that nobody uses any more. */
  sweep(): void {
    if (!existsSync(this.path)) return;
    for (const name of readdirSync(this.path)) {
      const importer = IMPORTING.exec(name)?.[1];
      const removed = REMOVED.exec(name)?.[1];
      const isStale = importer !== undefined && !existsSync(`/proc/${importer}`);
      const isUnused = removed !== undefined && !isMounted(join(this.path, removed));
      if (isStale || isUnused) rmSync(join(this.path, name), { recursive: true, force: true });
    }
  }

  #folder(id: string): string {
    return join(this.path, id.slice('sha256:'.length));
  }

  #records(): ImageRecord[] {
    return this.#names()
      .filter((name) => /^[0-9a-f]{64}$/.test(name))
      .sort()
      .map((name) => readWithNames(join(this.path, name)))
      .filter((found) => found !== undefined);
  }

  /** @throws ExecPathError ERR_STATE_FOLDER */
  #names(): string[] {
    try {
      return readdirSync(this.path);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'ENOENT') return [];
      const what = code === 'ENOTDIR' ? `${dirname(this.path)} is no folder` : toError(cause).message;
      throw new ExecPathError('ERR_STATE_FOLDER', what, { hop: 'runtime', cause });
    }
  }

  /** Now, but later than any image got one of the tags: two may come in one millisecond, and clocks are set back. */
  #timeFor(tags: readonly string[]): number {
    const given = this.#records().flatMap((one) => tags.map((tag) => one.tags[tag] ?? 0));
    return Math.max(Date.now(), ...given.map((at) => at + 1));
  }

  /** Two may add the same image at once, or one removes it meanwhile: whoever renames first has made it. */
  async #add(
    image: ArchivedImage,
    names: readonly string[],
    { work, meter }: { readonly work: string; readonly meter: ImportMeter },
  ): Promise<void> {
    const folder = this.#folder(image.id);
    const digests = names.flatMap((name) =>
      image.manifestDigest === undefined ? [] : [`${nameOf(name)}@${image.manifestDigest}`],
    );
    const tags = names.filter((name) => !name.includes('@'));
    for (;;) {
      const at = this.#timeFor(tags);
      if (isNamed(folder, { tags, at, digests })) return;
      const sizeBytes = await unpack(image, work, meter);
      const record: ImageRecord = {
        id: image.id,
        tags: Object.fromEntries(tags.map((tag) => [tag, at])),
        digests: [...new Set(digests)],
        sizeBytes: Math.max(1, sizeBytes),
        config: copyOf(image.config),
      };
      writeWhole(join(work, RECORD), record);
      try {
        renameSync(work, folder);
        return;
      } catch (thrown) {
        if (!['ENOTEMPTY', 'EEXIST'].includes((thrown as NodeJS.ErrnoException).code ?? '')) throw thrown;
        rmSync(work, { recursive: true, force: true });
      }
    }
  }
}

/** Names that an image gets. */
interface NewNames {
  readonly tags: readonly string[];
  /** When it gets them. */
  readonly at: number;
  readonly digests: readonly string[];
}

/** Gives an image that is there more names. @returns false when it is not there; what a crash left of one is taken away */
function isNamed(folder: string, { tags, at, digests }: NewNames): boolean {
  if (readWithNames(folder) === undefined) {
    rmSync(folder, { recursive: true, force: true });
    return false;
  }
  try {
    for (const tag of tags) writeLaterName(folder, { tag, at });
    for (const digest of digests) writeLaterName(folder, { digest });
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw thrown;
  }
}

function copyOf(config: ImageConfig): ImageRecord['config'] {
  return { ...config, env: [...config.env], entrypoint: [...config.entrypoint], cmd: [...config.cmd] };
}

/** @returns bytes of the files */
async function unpack(image: ArchivedImage, work: string, meter: ImportMeter): Promise<number> {
  const rootfs = join(work, 'rootfs');
  mkdirSync(rootfs, { recursive: true, mode: 0o755 });
  const root = new RootFolder(rootfs);
  let bytes = 0;
  for (const [at, { path, digest, diffId }] of image.layers.entries()) {
    const layer = { at: at + 1, of: image.layers.length };
    if (digest !== undefined) {
      meter.begin({ step: 'verify', ...layer });
      verify(digest, await hashOf(meter.through(createReadStream(path) as AsyncIterable<Buffer>)), 'layer');
    }
    meter.begin({ step: 'unpack', ...layer });
    const hash = createHash('sha256');
    bytes += await unpackLayer(hashed(meter.through(readUncompressed(path)), hash), root);
    verify(diffId, `sha256:${hash.digest('hex')}`, 'uncompressed layer');
  }
  return bytes;
}

async function* hashed(
  source: AsyncIterable<Buffer>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

async function hashOf(source: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of source) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

function verify(wanted: string, actual: string, what: string): void {
  if (actual === wanted) return;
  throw new ExecPathError('ERR_IMAGE_DIGEST', `${what} ${wanted} of the archive has digest ${actual}`);
}

/** Whether an overlay has `folder` below it, in whichever mount namespace: a runtime may have one of its own. */
function isMounted(folder: string): boolean {
  return mountTables().some((table) => table.includes(`lowerdir=${folder}/`));
}
