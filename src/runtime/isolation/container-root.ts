import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { IdMap } from '../process/index.ts';
import { unmountBelow } from './mounts.ts';
import { runTool } from './tool.ts';

/** Where the root of the container in `directory` is mounted. */
export function rootIn(directory: string): string {
  return join(directory, 'root');
}

/**
 * Makes the root file system of one container: an overlay over the image's, or where overlays do not work a copy of it.
 *
 * @param directory the container's own, which exists
 * @throws ExecPathError ERR_ISOLATION
 */
export async function makeContainerRoot(image: string, directory: string): Promise<void> {
  const [root, upper, work] = [rootIn(directory), join(directory, 'upper'), join(directory, 'work')];
  for (const path of [root, upper, work]) mkdirSync(path, { mode: 0o755 });
  // Root of a user namespace may not set the attributes by which the machine's root marks what is hidden.
  const marks = IdMap.own().isWhole ? '' : ',userxattr';
  const layers = `lowerdir=${image},upperdir=${upper},workdir=${work}${marks}`;
  try {
    await runTool(['mount', '--make-private', '-t', 'overlay', '-o', `nodev,${layers}`, 'podwire', root]);
  } catch {
    for (const path of [upper, work]) rmdirSync(path);
    await runTool(['cp', '-a', '--', `${image}/.`, root]);
    // A mount point of its own, as pivot_root(2) wants it.
    await runTool(['mount', '-o', 'bind', root, root]);
    await runTool(['mount', '-o', 'remount,bind,nodev', root]);
    await runTool(['mount', '--make-private', root]);
  }
}

/** Where the files are that the container itself has written: all of its root, where that is a copy. */
export function writtenBelow(directory: string): string {
  const upper = join(directory, 'upper');
  return existsSync(upper) ? upper : join(directory, 'root');
}

/** Takes away what {@link makeContainerRoot} mounted; the files are the caller's to remove. */
export async function dropContainerRoot(directory: string): Promise<void> {
  await unmountBelow(rootIn(directory));
}
