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

  /**
   * Where `name` leads, as a path below `/`: links are followed, that of the last part too. Nothing is made.
   *
   * @param isCovered whether something else will lie over a folder, such as `/proc`: what follows stays as it stands
   * @throws ExecPathError ERR_IMAGE_LAYER
   */
  follow(name: string, isCovered: (path: string) => boolean): string {
    const { inside, rest } = this.#walk(split(name), name, (parts) => isCovered(`/${parts.join('/')}`));
    return `/${[...inside, ...rest].join('/')}`;
  }

  #folder(parts: readonly string[], name: string): string {
    const { inside } = this.#walk(parts, name, (to, stats) => {
      if (stats === undefined) mkdirSync(join(this.path, ...to), { mode: 0o755 });
      else if (!stats.isDirectory())
        throw broken(name, `goes through ${JSON.stringify(to.at(-1))}, which is no folder`);
      return false;
    });
    return join(this.path, ...inside);
  }

  /**
   * Goes from the top part by part, and where links lead.
   *
   * @param enter told each member that is no link; true ends the walk there
   */
  #walk(
    parts: readonly string[],
    name: string,
    enter: (inside: readonly string[], stats: Stats | undefined) => boolean,
  ): { readonly inside: readonly string[]; readonly rest: readonly string[] } {
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
      inside.push(part);
      if (enter(inside, stats)) break;
    }
    return { inside, rest: pending };
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
