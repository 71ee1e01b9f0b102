import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Makes an `emptyDir` into which everybody may write, whatever the umask; what is there already stays as its pod has it.
 *
 * @param group that has it and, by the setgid bit, what is made in it: the pod's `fsGroup`
 * @see kubernetes pkg/volume/emptydir/empty_dir.go, pkg/volume/volume_linux.go
 */
export async function prepareEmptyFolder(path: string, group: number | undefined): Promise<void> {
  if (existsSync(path)) return;
  // No volume's name begins so. With what a kubelet left that was killed, this one goes on.
  const fresh = join(dirname(path), `.${basename(path)}`);
  await mkdir(fresh, { recursive: true });
  const isGiven = group !== undefined && (await give(fresh, group));
  await chmod(fresh, isGiven ? 0o2777 : 0o777);
  await rename(fresh, path);
}

/** Only root can give folders away, and in a user namespace only to groups that it has. @returns whether it is done */
async function give(path: string, group: number): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  try {
    await chown(path, 0, group);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EINVAL') return false;
    throw thrown;
  }
}
