import { constants } from 'node:fs';
import { chmod, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { toError } from '../common/errors.ts';
import type { ContainerStatus } from '../cri/index.ts';
import type { Container, Pod } from '../kubeapi/index.ts';
import type { FileMount } from './hosts-file.ts';
import { copyLog } from './log-reader.ts';
import { manifestError } from './manifest-error.ts';
import { type PodFolders, podVolumesFolder, segment } from './pod-folders.ts';
import { podLabels } from './pod-labels.ts';

/** Annotations of containers, for a kubelet that looks later: the wire words of upstream. */
const PATH = 'io.kubernetes.container.terminationMessagePath';
const POLICY = 'io.kubernetes.container.terminationMessagePolicy';

const DEFAULT_PATH = '/dev/termination-log';

/** Of a file that a container wrote, the end counts. */
const MAX_FILE_BYTES = 4096;
/** Of its log too: so many lines, and of these so many bytes. */
const MAX_LOG_LINES = 80;
const MAX_LOG_BYTES = 2048;
/** Of all containers of a pod, which share it evenly. */
const MAX_POD_BYTES = 12 * 1024;

/** Which of a container's attempts. */
export interface Attempt {
  readonly uid: string;
  readonly container: string;
  readonly attempt: number;
}

/**
 * The file in which an attempt leaves its last word.
 *
 * @throws ExecPathError ERR_MANIFEST for names that cannot stand in a path
 */
export function terminationFile(folders: PodFolders, { uid, container, attempt }: Attempt): string {
  // No volume's name begins so.
  return `${podVolumesFolder(folders, uid)}/.termination/${segment('container name', container)}/${attempt}`;
}

/**
 * Makes the file in which a container may leave its last word, empty, for whomever it runs as.
 *
 * @returns nothing where the container mounts something there itself
 * @throws ExecPathError ERR_MANIFEST when the file cannot be made
 */
export async function terminationMount(
  pod: Pod,
  container: Container,
  attempt: number,
  folders: PodFolders,
): Promise<readonly FileMount[]> {
  const containerPath = absolute(container.terminationMessagePath || DEFAULT_PATH);
  if (container.volumeMounts?.some(({ mountPath }) => absolute(mountPath) === containerPath) === true) return [];
  const hostPath = terminationFile(folders, { uid: pod.metadata.uid ?? '', container: container.name, attempt });
  try {
    await mkdir(posix.dirname(hostPath), { recursive: true, mode: 0o750 });
    // What a container of the same number left, of which the runtime knows no more.
    await rm(hostPath, { force: true });
    await writeFile(hostPath, '', { flag: 'wx' });
    await chmod(hostPath, 0o666);
  } catch (cause) {
    throw manifestError(`termination log: ${toError(cause).message}`, cause);
  }
  return [{ hostPath, containerPath }];
}

/** What tells a later kubelet where a container's last word is. */
export function terminationAnnotations(container: Container): Readonly<Record<string, string>> {
  return {
    [PATH]: container.terminationMessagePath || DEFAULT_PATH,
    [POLICY]: container.terminationMessagePolicy || 'File',
  };
}

/**
 * What a container that has ended left to say: its file, or when that is empty, it failed and its pod says so, the end of
 * its log. A file that this kubelet did not make is not read: what lies in a volume may be a link to anywhere.
 *
 * @returns what cannot be read as a text about that, as upstream; '' for nothing
 * @see kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, getTerminationMessage
 */
export async function terminationMessage(status: ContainerStatus, folders: PodFolders | undefined): Promise<string> {
  const path = folders && ownFile(status, folders);
  try {
    const left = path === undefined ? '' : await readEnd(path);
    if (left !== '') return left;
  } catch (thrown) {
    return `Error on reading termination log ${path}: ${toError(thrown).message}`;
  }
  if (status.annotations[POLICY] !== 'FallbackToLogsOnError' || status.exitCode === 0) return '';
  try {
    return await endOfLog(status.logPath);
  } catch (thrown) {
    return isMissing(thrown) ? '' : `Error on reading termination message from logs: ${toError(thrown).message}`;
  }
}

/** `message`, but no more of it than a container's share of what a pod may say. */
export function withinShare(message: string, containers: number): string {
  const bytes = Buffer.from(message);
  let end = Math.floor(MAX_POD_BYTES / Math.max(1, containers));
  if (bytes.length <= end) return message;
  // Not within a character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString();
}

/** The file of the attempt that `status` is of, when the container has it. */
function ownFile({ labels, metadata, mounts }: ContainerStatus, folders: PodFolders): string | undefined {
  const uid = labels[podLabels.uid] ?? '';
  if (uid === '' || metadata === undefined) return undefined;
  try {
    const path = terminationFile(folders, { uid, container: metadata.name, attempt: metadata.attempt });
    return mounts.some(({ hostPath }) => hostPath === path) ? path : undefined;
  } catch {
    // Somebody else's container, with names as they like them.
    return undefined;
  }
}

async function readEnd(path: string): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { size } = await file.stat();
      const buffer = Buffer.alloc(MAX_FILE_BYTES);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, Math.max(0, size - MAX_FILE_BYTES));
      return buffer.subarray(0, bytesRead).toString();
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if (isMissing(thrown)) return '';
    throw thrown;
  }
}

async function endOfLog(path: string): Promise<string> {
  if (path === '') return '';
  let end = Buffer.alloc(0);
  await copyLog({
    path,
    query: {
      follow: false,
      previous: false,
      timestamps: false,
      sinceMs: undefined,
      tailLines: MAX_LOG_LINES,
      limitBytes: undefined,
      stream: undefined,
    },
    write: async (bytes) => {
      end = Buffer.from(Buffer.concat([end, bytes]).subarray(-MAX_LOG_BYTES));
    },
    isOver: async () => true,
    signal: new AbortController().signal,
  });
  return end.toString();
}

function absolute(path: string): string {
  return posix.resolve('/', path);
}

function isMissing(thrown: unknown): boolean {
  return (thrown as NodeJS.ErrnoException).code === 'ENOENT';
}
