import { mkdir, readFile, realpath, rm } from 'node:fs/promises';
import { ExecPathError, toError } from '../../common/errors.ts';
import { mountPointsBelow } from '../../common/mount-table.ts';
import type { Pod, Volume } from '../../kubeapi/index.ts';
import { manifestError } from '../manifest-error.ts';
import { type PodFolders, podVolumesFolder } from '../pod-folders.ts';
import type { PodReferences } from '../pod-references.ts';
import { writeAtomically } from './atomic-folder.ts';
import { prepareEmptyFolder } from './empty-folder.ts';
import { prepareHostPath } from './host-path.ts';
import { filesOf, hasFiles } from './volume-files.ts';
import { volumePath } from './volume-path.ts';

/** How long the files of a running pod's volumes may be behind the apiserver, in ms. */
const REFRESH_MS = 60_000;

export interface PodVolumesOptions {
  /** Default {@link REFRESH_MS}. */
  readonly refreshMs?: number;
}

/** A look at what a running pod's files are to be. */
interface Refresh {
  readonly done: Promise<void>;
  readonly stop: AbortController;
}

/** The volumes of pods on this machine. Bounded by the pods of the node: `forget` when one is gone. */
export class PodVolumes {
  readonly #folders: PodFolders;
  readonly #references: PodReferences;
  readonly #refreshMs: number;
  /** When a pod's files were last looked at, in ms since the epoch, by uid. */
  readonly #seen = new Map<string, number>();
  /** Under way, by uid. */
  readonly #refreshes = new Map<string, Refresh>();

  constructor(folders: PodFolders, references: PodReferences, { refreshMs = REFRESH_MS }: PodVolumesOptions = {}) {
    this.#folders = folders;
    this.#references = references;
    this.#refreshMs = refreshMs;
  }

  /**
   * Makes what a pod's volumes need before anything of it runs, and checks what must be there.
   *
   * @param signal nobody waits for them any more: those that are not made yet are not made
   * @throws ExecPathError ERR_MANIFEST for a volume that cannot be had, in upstream's words
   */
  async prepare(pod: Pod, signal?: AbortSignal): Promise<void> {
    const { uid = '' } = pod.metadata;
    await this.#stopRefresh(uid);
    // Secrets lie here: nobody else on this machine is to pass.
    await mkdir(podVolumesFolder(this.#folders, uid), { recursive: true, mode: 0o750 });
    for (const volume of pod.spec.volumes ?? []) {
      if (signal?.aborted === true) return;
      await this.#prepareVolume(pod, volume, signal);
    }
    this.#seen.set(uid, Date.now());
  }

  /**
   * Writes anew what changed since, when it is time to look: beside what else is done with the pod, for the apiserver may
   * keep silent for long.
   *
   * @param onError told what failed: the files stay as they are and are looked at again when it is time
   */
  refresh(pod: Pod, onError: (error: Error) => void): void {
    const { uid = '' } = pod.metadata;
    const volumes = (pod.spec.volumes ?? []).filter(hasFiles);
    const isDue = Date.now() >= (this.#seen.get(uid) ?? 0) + this.#refreshMs;
    if (volumes.length === 0 || !isDue || this.#refreshes.has(uid)) return;
    const stop = new AbortController();
    const look = async (): Promise<void> => {
      try {
        for (const volume of volumes) await this.#prepareVolume(pod, volume, stop.signal);
      } catch (thrown) {
        if (!stop.signal.aborted) onError(toError(thrown));
      }
      if (!stop.signal.aborted) this.#seen.set(uid, Date.now());
      this.#refreshes.delete(uid);
    };
    // Entered before it runs, so that it finds itself at its end.
    this.#refreshes.set(uid, { done: Promise.resolve().then(look), stop });
  }

  /**
   * Removes what the pod's containers wrote, and what they were given.
   *
   * @throws ExecPathError ERR_VOLUME_IN_USE when a container with the right to has mounted something there that outlived
   * it: what is in that is not the pod's
   */
  async remove(uid: string): Promise<void> {
    await this.#stopRefresh(uid);
    this.forget(uid);
    const folder = podVolumesFolder(this.#folders, uid);
    const [mount] = await mountsIn(folder);
    if (mount !== undefined) {
      const message = `something is mounted at ${JSON.stringify(mount)}: the pod's files go when it is unmounted`;
      throw new ExecPathError('ERR_VOLUME_IN_USE', message, { hop: 'kubelet' });
    }
    await rm(folder, { recursive: true, force: true });
  }

  forget(uid: string): void {
    this.#refreshes.get(uid)?.stop.abort();
    this.#seen.delete(uid);
  }

  async #stopRefresh(uid: string): Promise<void> {
    const refresh = this.#refreshes.get(uid);
    refresh?.stop.abort();
    await refresh?.done;
  }

  async #prepareVolume(pod: Pod, volume: Volume, signal?: AbortSignal): Promise<void> {
    const path = volumePath(pod, volume, this.#folders);
    try {
      if (volume.hostPath !== undefined) return await prepareHostPath(volume.hostPath);
      const group = pod.spec.securityContext?.fsGroup;
      if (volume.emptyDir !== undefined) return await prepareEmptyFolder(path, group);
      const files = await filesOf(pod, volume, this.#references, signal);
      if (signal?.aborted === true) return;
      await writeAtomically(path, files, group);
    } catch (cause) {
      const message = `MountVolume.SetUp failed for volume ${JSON.stringify(volume.name)} : ${toError(cause).message}`;
      throw manifestError(message, cause);
    }
  }
}

/** None where there is no /proc, or no such folder. */
async function mountsIn(folder: string): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const real = await realpath(folder).catch(() => folder);
  return mountPointsBelow(table, real);
}
