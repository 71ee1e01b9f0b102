import { manifestError } from './manifest-error.ts';

export interface PodFolders {
  /** `podLogsDir`; upstream's default is /var/log/pods. */
  readonly logs: string;
  /** Where a pod's volumes live: `<volumes>/<uid>/<volume>`. */
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

/**
 * The apiserver checks names too; but it may be another's, and a manifest or a sandbox comes from anywhere.
 *
 * @throws ExecPathError ERR_MANIFEST
 */
export function segment(what: string, text: string): string {
  if (/^[A-Za-z0-9][\w.-]{0,252}$/.test(text)) return text;
  const message = `${what} ${JSON.stringify(text)} cannot be a part of a path`;
  throw manifestError(message);
}
