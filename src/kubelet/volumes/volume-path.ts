import type { Pod, Volume } from '../../kubeapi/index.ts';
import { manifestError } from '../manifest-error.ts';
import { type PodFolders, podVolumesFolder, segment } from '../pod-folders.ts';
import { hasFiles } from './volume-files.ts';

/** @throws ExecPathError ERR_MANIFEST for kinds of volumes that this kubelet does not have, and for unfit paths */
export function volumePath(pod: Pod, volume: Volume, folders: PodFolders): string {
  if (volume.hostPath !== undefined) {
    const { path } = volume.hostPath;
    if (path.startsWith('/') && !leavesItsFolder(path)) return path;
    throw manifestError(`hostPath ${JSON.stringify(path)} of volume ${volume.name} must be absolute and without ".."`);
  }
  if (volume.emptyDir !== undefined || hasFiles(volume)) {
    return `${podVolumesFolder(folders, pod.metadata.uid ?? '')}/${segment('volume name', volume.name)}`;
  }
  const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'its kind';
  throw manifestError(
    `volume ${volume.name}: podwire's kubelet knows emptyDir, hostPath and volumes of files, not ${kind}`,
  );
}

/** Does it name something above where it begins, or nothing at all? */
export function leavesItsFolder(path: string): boolean {
  return path.split('/').includes('..') || path.includes('\0');
}
