import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { toError } from '../common/errors.ts';
import { type Pod, parsePodManifest } from '../kubeapi/index.ts';
import { CONFIG_HASH, CONFIG_SOURCE } from './adopted-pod.ts';

/** A manifest file larger than this is not read, in bytes. */
const MAX_MANIFEST_BYTES = 1024 * 1024;

/**
 * The pods of a folder of manifests, one pod a file, YAML or JSON.
 *
 * The pod's name gets the node's name behind it, as upstream does, so that many nodes can share a manifest. Its uid is
 * a hash of file and node: an edited manifest is another pod, and the old one is removed.
 */
export class StaticPods {
  readonly #folder: string;
  readonly #nodeName: string;
  readonly #onError: (message: string) => void;
  #complaints = new Set<string>();

  constructor(folder: string, nodeName: string, onError: (message: string) => void) {
    this.#folder = folder;
    this.#nodeName = nodeName;
    this.#onError = onError;
  }

  /**
   * Reads the folder anew. A manifest that cannot be used is reported once and left out; hidden files are not read.
   *
   * @returns undefined when the folder itself cannot be read: then nothing is known, and nothing is to be stopped
   */
  async read(): Promise<Pod[] | undefined> {
    const complaints = new Set<string>();
    const complain = (message: string): void => {
      complaints.add(message);
      if (!this.#complaints.has(message)) this.#onError(message);
    };
    let names: string[];
    try {
      names = (await readdir(this.#folder)).filter((name) => !name.startsWith('.')).sort();
    } catch (thrown) {
      complain(`static pods: ${toError(thrown).message}`);
      this.#complaints = complaints;
      return undefined;
    }
    const pods = new Map<string, Pod>();
    for (const name of names) {
      const path = join(this.#folder, name);
      try {
        const bytes = await readManifest(path);
        const pod = this.#named(await parsePodManifest(bytes.toString(), path), bytes);
        const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
        if (pods.has(key)) throw new Error(`another manifest already defines pod ${key}`);
        const { uid } = pod.metadata;
        const twin = [...pods.values()].find(({ metadata }) => metadata.uid === uid);
        if (twin !== undefined) throw new Error(`pod ${twin.metadata.name} has the uid ${uid} too`);
        pods.set(key, pod);
      } catch (thrown) {
        complain(`static pod ${path}: ${toError(thrown).message}`);
      }
    }
    this.#complaints = complaints;
    return [...pods.values()];
  }

  #named(pod: Pod, bytes: Uint8Array): Pod {
    const hash = createHash('md5').update(bytes).update(this.#nodeName).digest('hex');
    return {
      ...pod,
      metadata: {
        ...pod.metadata,
        name: `${pod.metadata.name}-${this.#nodeName}`,
        namespace: pod.metadata.namespace ?? 'default',
        uid: pod.metadata.uid ?? hash,
        annotations: { ...pod.metadata.annotations, [CONFIG_SOURCE]: 'file', [CONFIG_HASH]: hash },
      },
      spec: { ...pod.spec, nodeName: this.#nodeName },
    };
  }
}

/** Opening a pipe would wait for its writer, and with it every pod of the node. */
async function readManifest(path: string): Promise<Buffer> {
  const file = await stat(path);
  if (!file.isFile()) throw new Error('it is not a file');
  if (file.size > MAX_MANIFEST_BYTES) {
    throw new Error(`${file.size} bytes exceed the limit of ${MAX_MANIFEST_BYTES}`);
  }
  return await readFile(path);
}
