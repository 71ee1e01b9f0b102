import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ExecPathError } from '../../common/errors.ts';
import type { Pod, Volume } from '../../kubeapi/index.ts';
import type { PodFolders } from '../pod-folders.ts';
import { volumePath } from './volume-path.ts';

/**
 * Makes what a pod's volumes need before anything of it runs, and checks what must be there.
 *
 * @throws ExecPathError ERR_MANIFEST for a volume that cannot be had, in upstream's words
 */
export async function prepareVolumes(pod: Pod, folders: PodFolders): Promise<void> {
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.emptyDir !== undefined) {
      await mkdir(volumePath(pod, volume, folders), { recursive: true, mode: 0o777 });
    } else if (volume.hostPath !== undefined) await prepareHostPath(volume, volumePath(pod, volume, folders));
  }
}

const checks: Readonly<Record<string, { readonly what: string; readonly holds: (found: Stats) => boolean }>> = {
  Directory: { what: 'a directory', holds: (found) => found.isDirectory() },
  DirectoryOrCreate: { what: 'a directory', holds: (found) => found.isDirectory() },
  File: { what: 'a file', holds: (found) => found.isFile() },
  FileOrCreate: { what: 'a file', holds: (found) => found.isFile() },
  Socket: { what: 'a socket file', holds: (found) => found.isSocket() },
  CharDevice: { what: 'a character device', holds: (found) => found.isCharacterDevice() },
  BlockDevice: { what: 'a block device', holds: (found) => found.isBlockDevice() },
};

/** @see kubernetes pkg/volume/hostpath */
async function prepareHostPath({ name, hostPath }: Volume, path: string): Promise<void> {
  const type = hostPath?.type ?? '';
  const check = checks[type];
  if (check === undefined) return;
  if (type === 'DirectoryOrCreate') await mkdir(path, { recursive: true, mode: 0o755 });
  if (type === 'FileOrCreate') {
    await mkdir(dirname(path), { recursive: true });
    await (await open(path, 'a', 0o644)).close();
  }
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && check.holds(found)) return;
  const message = `MountVolume.SetUp failed for volume ${JSON.stringify(name)} : hostPath type check failed: ${path} is not ${check.what}`;
  throw new ExecPathError('ERR_MANIFEST', message, { hop: 'kubelet' });
}
