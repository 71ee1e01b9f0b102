import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { VolumeFile, VolumeFiles } from './volume-files.ts';

/** The link to the present files; a rename exchanges it. */
const PRESENT = '..data';
const NEXT = '..data_tmp';
/** Until its owner and mode are set. */
const OWNER_WRITES = 0o600;
/** Added to a file's mode for the pod's `fsGroup`. */
const GROUP_READS = 0o440;

/**
 * Makes a folder hold these files, all at once: whoever reads sees the old ones or the new ones, never a mixture.
 *
 * Programs that watch such volumes know how: the names are links to `..data/<name>`, which is itself a link to a folder
 * that a rename exchanges.
 *
 * @param group that reads them all: the pod's `fsGroup`
 * @throws the file system's errors; calling again mends what was left half done
 * @see kubernetes pkg/volume/util/atomic_writer.go
 */
export async function writeAtomically(folder: string, files: VolumeFiles, group?: number): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const before = await readlink(join(folder, PRESENT)).catch(() => undefined);
  if (before === undefined || !(await holds(join(folder, before), files, group))) {
    const fresh = await mkdtemp(join(folder, `..${new Date().toISOString().replaceAll(/\D+/g, '_')}.`));
    await chmod(fresh, 0o755);
    for (const [path, file] of files) await write(join(fresh, path), file, group);
    await rm(join(folder, NEXT), { force: true });
    await symlink(fresh.slice(folder.length + 1), join(folder, NEXT));
    await rename(join(folder, NEXT), join(folder, PRESENT));
  }
  await mendLinks(folder, files);
}

/** Gives each name its link, and removes the links and folders of what is no longer there. */
async function mendLinks(folder: string, files: VolumeFiles): Promise<void> {
  const present = await readlink(join(folder, PRESENT));
  const wanted = new Set([...files.keys()].map((path) => path.split('/')[0] ?? ''));
  const found = new Set(await readdir(folder));
  for (const name of wanted) if (!found.has(name)) await symlink(join(PRESENT, name), join(folder, name));
  for (const name of found) {
    if (wanted.has(name) || name === PRESENT || name === present) continue;
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function write(path: string, file: VolumeFile, group: number | undefined): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFile(path, file.bytes, { mode: OWNER_WRITES });
  // Only root can give files away; another's containers run as itself.
  if (process.getuid?.() === 0) await chown(path, file.uid ?? 0, group ?? 0);
  await chmod(path, modeOf(file, group));
}

function modeOf({ mode }: VolumeFile, group: number | undefined): number {
  return group === undefined ? mode : mode | GROUP_READS;
}

async function holds(folder: string, files: VolumeFiles, group: number | undefined): Promise<boolean> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const count = entries.filter((entry) => !entry.isDirectory()).length;
  if (count !== files.size) return false;
  for (const [path, file] of files) {
    const at = join(folder, path);
    const [bytes, stat] = await Promise.all([readFile(at), lstat(at)]).catch(() => []);
    if (bytes === undefined || stat === undefined) return false;
    if (!bytes.equals(file.bytes) || (stat.mode & 0o777) !== modeOf(file, group)) return false;
  }
  return true;
}
