import { readdir, rm } from 'node:fs/promises';
import { manifestError } from './manifest-error.ts';

const SEGMENT = /^[A-Za-z0-9][\w.-]{0,252}$/;

export interface PodFolders {
  /** `podLogsDir`; upstream's default is /var/log/pods. */
  readonly logs: string;
  /** Where a pod's volumes live: `<volumes>/<uid>/<volume>`. The kubelet's own: pods of others have nothing there. */
  readonly volumes: string;
}

/**
 * The folder of a pod's container logs.
 *
 * @throws ExecPathError ERR_MANIFEST for a name that cannot stand in a path
 */
export function podLogFolder(
  folders: PodFolders,
  { namespace, name, uid }: { readonly namespace: string; readonly name: string; readonly uid: string },
): string {
  const parts = [segment('namespace', namespace), segment('pod name', name), segment('uid', uid)];
  return `${folders.logs}/${parts.join('_')}`;
}

/**
 * The folder of a pod's volumes.
 *
 * @throws ExecPathError ERR_MANIFEST for a uid that cannot stand in a path
 */
export function podVolumesFolder(folders: PodFolders, uid: string): string {
  return `${folders.volumes}/${segment('uid', uid)}`;
}

/** Uids of the pods that have a folder of volumes: each pod of this kubelet has one from its first step to its last. */
export async function podsWithFolders({ volumes }: PodFolders): Promise<string[]> {
  // A disk of its own has a `lost+found`.
  return (await namesIn(volumes)).filter((name) => SEGMENT.test(name));
}

/** Of a pod of which nothing but its uid is known. */
export async function removeLogsOf(uid: string, { logs }: PodFolders): Promise<void> {
  const names = (await namesIn(logs)).filter((name) => name.endsWith(`_${segment('uid', uid)}`));
  for (const name of names) await rm(`${logs}/${name}`, { recursive: true, force: true });
}

/** Empty for a folder that is not there. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw thrown;
  }
}

/**
 * The apiserver checks names too; but it may be another's, and a manifest or a sandbox comes from anywhere.
 *
 * @throws ExecPathError ERR_MANIFEST
 */
export function segment(what: string, text: string): string {
  if (SEGMENT.test(text)) return text;
  const message = `${what} ${JSON.stringify(text)} cannot be a part of a path`;
  throw manifestError(message);
}
