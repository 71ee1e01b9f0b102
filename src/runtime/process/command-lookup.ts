import { accessSync, constants, readlinkSync, type Stats, statSync } from 'node:fs';
import { posix as path } from 'node:path';
import { type ErrorCode, ExecPathError, toError } from '../../common/errors.ts';

/** Who a process runs as. Without it: as ourselves. */
export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, exactly these; none by default. */
  readonly groups?: readonly number[];
}

/** The command never ran. `exitCode` is what a shell would report: 127 not found, 126 for every other reason. */
export class CommandStartError extends ExecPathError {
  readonly exitCode: 126 | 127;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause, hop: 'runtime' });
    this.exitCode = code === 'ERR_COMMAND_NOT_FOUND' ? 127 : 126;
  }
}

export interface LookupOptions {
  /** Value of `PATH`; an empty element means `cwd`. */
  readonly path: string;
  /** Where a name with a slash starts, as seen inside `root`. */
  readonly cwd: string;
  /** Root directory of the container; `/` by default. Absolute symlinks stay inside. */
  readonly root?: string;
  readonly user?: ProcessUser;
}

/**
 * Finds the program for `name` as runc does: a name with a slash is taken as it is, any other is the first
 * executable file in `PATH`; files there that may not be run are passed over.
 *
 * @returns the path inside `root`
 * @throws CommandStartError ERR_COMMAND_NOT_FOUND (127) or ERR_COMMAND_NOT_EXECUTABLE (126)
 */
export function lookUpCommand(name: string, options: LookupOptions): string {
  const quoted = JSON.stringify(name);
  if (name.includes('/')) {
    const file = path.resolve(options.cwd, name);
    const obstacle = obstacleTo(file, options);
    if (obstacle === undefined) return file;
    if (obstacle === 'ENOENT' || obstacle === 'ENOTDIR') {
      const why = obstacle === 'ENOENT' ? 'no such file or directory' : 'not a directory';
      throw new CommandStartError('ERR_COMMAND_NOT_FOUND', `exec: ${quoted}: stat ${name}: ${why}`);
    }
    throw new CommandStartError('ERR_COMMAND_NOT_EXECUTABLE', `exec: ${quoted}: ${obstacle}`);
  }
  if (name !== '') {
    for (const directory of options.path.split(':')) {
      const file = path.resolve(options.cwd, directory, name);
      if (obstacleTo(file, options) === undefined) return file;
    }
  }
  throw new CommandStartError('ERR_COMMAND_NOT_FOUND', `exec: ${quoted}: executable file not found in $PATH`);
}

/** Why `file` cannot be run, in the words of the system, or undefined. */
function obstacleTo(file: string, options: LookupOptions): string | undefined {
  try {
    const real = resolveInside(options.root ?? '/', file);
    const stats = statSync(real);
    if (stats.isDirectory()) return 'is a directory';
    return mayExecute(real, stats, options.user) ? undefined : 'permission denied';
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return code;
    return code === 'EACCES' ? 'permission denied' : toError(thrown).message;
  }
}

function mayExecute(file: string, stats: Stats, user: ProcessUser | undefined): boolean {
  if (user === undefined) {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  }
  if (user.uid === 0) return (stats.mode & 0o111) !== 0;
  if (user.uid === stats.uid) return (stats.mode & 0o100) !== 0;
  const inGroup = user.gid === stats.gid || (user.groups?.includes(stats.gid) ?? false);
  return (stats.mode & (inGroup ? 0o010 : 0o001)) !== 0;
}

/** As many symlinks as Linux follows in one path. */
const MAX_SYMLINKS = 40;

/**
 * The path on the host that `file` means after chroot(2) to `root`: symlinks are followed by hand, for an absolute
 * one starts at `root` and `..` never leaves it.
 *
 * @param file absolute path inside `root`
 */
export function resolveInside(root: string, file: string): string {
  if (root === '/') return file;
  const pending = file.split('/').filter(Boolean);
  let inside = '/';
  let links = 0;
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    const next = path.join(inside, part);
    const target = readLink(path.join(root, next));
    if (target === undefined) {
      inside = next;
      continue;
    }
    links += 1;
    if (links > MAX_SYMLINKS) throw new Error(`${file} has more than ${MAX_SYMLINKS} symbolic links`);
    if (target.startsWith('/')) inside = '/';
    pending.unshift(...target.split('/').filter(Boolean));
  }
  return path.join(root, inside);
}

function readLink(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch (thrown) {
    // EINVAL: it is there, but no link.
    if ((thrown as NodeJS.ErrnoException).code === 'EINVAL') return undefined;
    throw thrown;
  }
}
