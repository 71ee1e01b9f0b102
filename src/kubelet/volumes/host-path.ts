import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { HostPathVolumeSource } from '../../kubeapi/index.ts';
import { manifestError } from '../manifest-error.ts';

const checks: Readonly<Record<string, { readonly what: string; readonly holds: (found: Stats) => boolean }>> = {
  Directory: { what: 'a directory', holds: (found) => found.isDirectory() },
  DirectoryOrCreate: { what: 'a directory', holds: (found) => found.isDirectory() },
  File: { what: 'a file', holds: (found) => found.isFile() },
  FileOrCreate: { what: 'a file', holds: (found) => found.isFile() },
  Socket: { what: 'a socket file', holds: (found) => found.isSocket() },
  CharDevice: { what: 'a character device', holds: (found) => found.isCharacterDevice() },
  BlockDevice: { what: 'a block device', holds: (found) => found.isBlockDevice() },
};

/**
 * Makes a path of the host if its type says so, and checks that it is what the type says.
 *
 * @throws ExecPathError ERR_MANIFEST, in upstream's words
 * @see kubernetes pkg/volume/hostpath
 */
export async function prepareHostPath({ path, type = '' }: HostPathVolumeSource): Promise<void> {
  const check = checks[type];
  if (check === undefined) return;
  if (type === 'DirectoryOrCreate') await mkdir(path, { recursive: true, mode: 0o755 });
  if (type === 'FileOrCreate') {
    await mkdir(dirname(path), { recursive: true });
    await (await open(path, 'a', 0o644)).close();
  }
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && check.holds(found)) return;
  const message = `hostPath type check failed: ${path} is not ${check.what}`;
  throw manifestError(message);
}
