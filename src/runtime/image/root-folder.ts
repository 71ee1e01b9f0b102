import { lstatSync, mkdirSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { ExecPathError } from '../../common/errors.ts';

/** As many symbolic links as Linux follows in one path. */
const MAX_SYMLINKS = 40;

/**
 * A folder that stands for `/`. Paths of others are resolved in it as after chroot(2): `..` stops at the top, absolute
 * links begin there, and no result is outside. Nobody else may change the folder meanwhile.
 */
export class RootFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Where `name` is, on the host. Links on the way are followed, the last part is not; missing folders are made (0755).
   *
   * @throws ExecPathError ERR_IMAGE_LAYER for a name that means the top itself, or goes through what is no folder
   */
  place(name: string): string {
    const parts = split(name);
    const last = parts.pop();
    if (last === undefined || last === '..') throw broken(name, 'names no member of the root folder');
    return join(this.#folder(parts, name), last);
  }

  /** As {@link place}, but the folder itself, which may be the top, with links followed. */
  folder(name: string): string {
    return this.#folder(split(name), name);
  }

  #folder(parts: readonly string[], name: string): string {
    const pending = [...parts];
    let inside: string[] = [];
    let links = 0;
    for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
      if (part === '..') {
        inside.pop();
        continue;
      }
      const path = join(this.path, ...inside, part);
      const stats = statOf(path);
      if (stats?.isSymbolicLink() === true) {
        if (++links > MAX_SYMLINKS) throw broken(name, `has more than ${MAX_SYMLINKS} symbolic links`);
        const target = readlinkSync(path);
        if (target.startsWith('/')) inside = [];
        pending.unshift(...split(target));
        continue;
      }
      if (stats === undefined) mkdirSync(path, { mode: 0o755 });
      else if (!stats.isDirectory()) throw broken(name, `goes through ${JSON.stringify(part)}, which is no folder`);
      inside.push(part);
    }
    return join(this.path, ...inside);
  }
}

/** @returns undefined when there is nothing at `path` */
export function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function split(name: string): string[] {
  if (name.includes('\0')) throw broken(name, 'holds a NUL');
  return name.split('/').filter((part) => part !== '' && part !== '.');
}

function broken(name: string, why: string): ExecPathError {
  return new ExecPathError('ERR_IMAGE_LAYER', `path ${JSON.stringify(name)} of an image layer ${why}`);
}
