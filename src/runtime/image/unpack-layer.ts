import { chmodSync, lchownSync, linkSync, lutimesSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { getuid } from 'node:process';
import { ExecPathError } from '../../common/errors.ts';
import { IdMap } from '../process/index.ts';
import { failureAt } from './import-meter.ts';
import { type RootFolder, statOf } from './root-folder.ts';
import { readTar, type TarMember } from './tar-reader.ts';

/** Of one layer; that of a whole distribution has about 100,000. More would only fill the disk with inodes. */
const MAX_MEMBERS = 2_000_000;
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * Lays one layer over what earlier ones left in `root`. Device nodes and FIFOs are left out: a container's devices come
 * from its runtime. Owners are kept as root only; extended attributes (file capabilities) are not kept.
 *
 * @param source the uncompressed archive
 * @returns bytes of all files written
 * @throws ExecPathError ERR_IMAGE_LAYER for a member that does not fit; ERR_IMAGE_ARCHIVE for a broken archive
 * @see OCI image-spec 1.0, layer.md
 */
export async function unpackLayer(source: AsyncIterable<Buffer>, root: RootFolder): Promise<number> {
  const layer = new Layer(root);
  let members = 0;
  for await (const member of readTar(source)) {
    members += 1;
    if (members > MAX_MEMBERS) {
      throw new ExecPathError('ERR_IMAGE_LAYER', `an image layer has more than ${MAX_MEMBERS} members`);
    }
    try {
      await layer.add(member);
    } catch (thrown) {
      throw failureAt(member.name, thrown, 'ERR_IMAGE_LAYER');
    }
  }
  layer.finish();
  return layer.bytes;
}

class Layer {
  bytes = 0;
  readonly #root: RootFolder;
  /** What this layer itself has put there: its own whiteouts do not mean it. */
  readonly #written = new Set<string>();
  /** Set at the end: each file put into a folder changes its time. */
  readonly #folderTimes: (readonly [path: string, mtime: number])[] = [];
  readonly #isRoot = getuid?.() === 0;
  readonly #ids = IdMap.own();

  constructor(root: RootFolder) {
    this.#root = root;
  }

  async add(member: TarMember): Promise<void> {
    const name = member.name.replace(/\/+$/, '');
    if (name === '' || name === '.') return this.#top(member);
    const last = basename(name);
    if (last === OPAQUE) return this.#hideBelow(this.#root.folder(dirname(name)));
    if (last.startsWith(WHITEOUT)) return this.#hide(name, last.slice(WHITEOUT.length));
    switch (member.kind) {
      case 'directory':
        return this.#folder(this.#root.place(name), member);
      case 'file':
        return this.#file(this.#root.place(name), member);
      case 'symlink':
        return this.#symlink(this.#root.place(name), member);
      case 'hardlink':
        return this.#hardlink(this.#root.place(name), member);
      case 'fifo':
      case 'character-device':
      case 'block-device':
      case 'other':
        return;
    }
  }

  finish(): void {
    for (const [path, mtime] of this.#folderTimes.toReversed()) {
      if (statOf(path)?.isDirectory() === true) lutimesSync(path, mtime, mtime);
    }
  }

  #top(member: TarMember): void {
    if (member.kind === 'directory') this.#attributes(this.#root.path, member);
  }

  #folder(path: string, member: TarMember): void {
    if (statOf(path)?.isDirectory() !== true) {
      rmSync(path, { force: true });
      mkdirSync(path);
    }
    this.#attributes(path, member);
    this.#note(path);
    this.#folderTimes.push([path, member.mtime]);
  }

  async #file(path: string, member: TarMember): Promise<void> {
    this.#clear(path);
    // x: a file of this name cannot be there, so no link is followed and nothing outside is written.
    const file = await open(path, 'wx', 0o600);
    try {
      for await (const chunk of member.body) await file.write(chunk);
    } finally {
      await file.close();
    }
    this.bytes += member.size;
    this.#attributes(path, member);
    lutimesSync(path, member.mtime, member.mtime);
    this.#note(path);
  }

  #symlink(path: string, member: TarMember): void {
    this.#clear(path);
    symlinkSync(member.target, path);
    this.#giveTo(path, member);
    lutimesSync(path, member.mtime, member.mtime);
    this.#note(path);
  }

  #hardlink(path: string, member: TarMember): void {
    const target = this.#root.place(member.target);
    const stats = statOf(target);
    if (stats === undefined || stats.isDirectory()) {
      const rule = `${JSON.stringify(member.name)} is a hard link to ${JSON.stringify(member.target)}, which is no file`;
      throw new ExecPathError('ERR_IMAGE_LAYER', `${rule} of the image`);
    }
    if (target === path) return;
    this.#clear(path);
    linkSync(target, path);
    this.#note(path);
  }

  #attributes(path: string, member: TarMember): void {
    // chown(2) takes the setuid bit away: the mode comes last.
    this.#giveTo(path, member);
    chmodSync(path, member.mode);
  }

  /** Whom our user namespace does not have stays root. */
  #giveTo(path: string, { uid, gid }: TarMember): void {
    if (this.#isRoot) lchownSync(path, this.#ids.hasUser(uid) ? uid : 0, this.#ids.hasGroup(gid) ? gid : 0);
  }

  #clear(path: string): void {
    rmSync(path, { recursive: true, force: true });
  }

  #note(path: string): void {
    for (let at = path; at !== this.#root.path && !this.#written.has(at); at = dirname(at)) this.#written.add(at);
  }

  #hide(name: string, hidden: string): void {
    if (hidden === '' || hidden === '.' || hidden === '..') return;
    const path = join(this.#root.folder(dirname(name)), hidden);
    if (!this.#written.has(path)) this.#clear(path);
  }

  #hideBelow(folder: string): void {
    for (const child of readdirSync(folder)) {
      const path = join(folder, child);
      if (!this.#written.has(path)) this.#clear(path);
      else if (statOf(path)?.isDirectory() === true) this.#hideBelow(path);
    }
  }
}
