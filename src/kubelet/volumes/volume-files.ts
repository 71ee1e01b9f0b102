import type {
  ConfigMap,
  Container,
  DownwardApiFile,
  KeyToPath,
  Pod,
  ProjectedSource,
  Secret,
  Volume,
} from '../../kubeapi/index.ts';
import { manifestError } from '../manifest-error.ts';
import { amountOf, fieldOf } from '../pod-fields.ts';
import type { PodReferences } from '../pod-references.ts';

/** Upstream's `defaultMode`: 0644. */
const DEFAULT_MODE = 0o644;
/** Of a token that belongs to one user. */
const OWNER_ONLY = 0o600;

export interface VolumeFile {
  readonly bytes: Uint8Array;
  /** 0 … 0o777 */
  readonly mode: number;
  /** Its owner; default root. */
  readonly uid?: number;
}

/** By path below the volume's folder. */
export type VolumeFiles = ReadonlyMap<string, VolumeFile>;

/** Is it a volume whose content this kubelet writes? Containers only read it. */
export function hasFiles({ configMap, secret, downwardAPI, projected }: Volume): boolean {
  return [configMap, secret, downwardAPI, projected].some((source) => source !== undefined);
}

/**
 * What a volume of configMap, secret, downwardAPI or projected holds now.
 *
 * @throws ExecPathError ERR_MANIFEST for what is not there and for a path that leaves the volume; what
 * {@link PodReferences} throws
 * @see kubernetes pkg/volume/projected
 */
export async function filesOf(
  pod: Pod,
  volume: Volume,
  references: PodReferences,
  signal?: AbortSignal,
): Promise<VolumeFiles> {
  const { configMap, secret, downwardAPI, projected } = volume;
  const source = configMap ?? secret ?? downwardAPI ?? projected;
  const files = new FileCollection(pod, references, { mode: source?.defaultMode ?? DEFAULT_MODE, signal });
  await files.add({
    ...(configMap === undefined ? {} : { configMap }),
    ...(secret === undefined ? {} : { secret: { ...secret, name: secret.secretName ?? '' } }),
    ...(downwardAPI === undefined ? {} : { downwardAPI }),
  });
  for (const part of projected?.sources ?? []) await files.add(part);
  return files.files;
}

/** The files of one volume, source by source: a later one wins. */
class FileCollection {
  readonly files = new Map<string, VolumeFile>();
  readonly #pod: Pod;
  readonly #references: PodReferences;
  readonly #mode: number;
  readonly #signal: AbortSignal | undefined;

  constructor(
    pod: Pod,
    references: PodReferences,
    { mode, signal }: { readonly mode: number; readonly signal: AbortSignal | undefined },
  ) {
    this.#pod = pod;
    this.#references = references;
    this.#mode = mode;
    this.#signal = signal;
  }

  async add({ configMap, secret, downwardAPI, serviceAccountToken, ...others }: ProjectedSource): Promise<void> {
    const [unknown] = Object.keys(others);
    if (unknown !== undefined) throw manifestError(`podwire's kubelet knows no projected ${unknown}`);
    const signal = this.#signal;
    if (configMap !== undefined) {
      const object = await this.#references.configMap(this.#pod, configMap.name ?? '', { ...configMap, signal });
      if (object !== undefined) this.#addKeys('configmap', contentOf(object), configMap);
    }
    if (secret !== undefined) {
      const object = await this.#references.secret(this.#pod, secret.name ?? '', { ...secret, signal });
      if (object !== undefined) this.#addKeys('secret', secretContent(object), secret);
    }
    for (const file of downwardAPI?.items ?? []) this.#set(file.path, Buffer.from(this.#downward(file)), file.mode);
    if (serviceAccountToken !== undefined) await this.#addToken(serviceAccountToken);
  }

  #addKeys(
    kind: string,
    content: ReadonlyMap<string, Uint8Array>,
    { items, optional = false }: { readonly items?: readonly KeyToPath[]; readonly optional?: boolean },
  ): void {
    for (const { key, path, mode } of items ??
      [...content.keys()].map((name): KeyToPath => ({ key: name, path: name }))) {
      const bytes = content.get(key);
      if (bytes !== undefined) this.#set(path, bytes, mode);
      else if (!optional) throw manifestError(`references non-existent ${kind} key: ${key}`);
    }
  }

  async #addToken(wanted: NonNullable<ProjectedSource['serviceAccountToken']>): Promise<void> {
    const token = Buffer.from(await this.#references.token(this.#pod, wanted, this.#signal));
    const uid = onlyUserOf(this.#pod);
    const isOwned = uid !== undefined || this.#pod.spec.securityContext?.fsGroup !== undefined;
    this.#set(wanted.path, token, isOwned ? OWNER_ONLY : undefined, uid);
  }

  #downward({ path, fieldRef, resourceFieldRef }: DownwardApiFile): string {
    if (fieldRef !== undefined) {
      const value = fieldOf(this.#pod, fieldRef.fieldPath);
      if (value !== undefined) return value;
    } else if (resourceFieldRef !== undefined) {
      const { containerName = '' } = resourceFieldRef;
      const container = containersOf(this.#pod).find(({ name }) => name === containerName);
      const amount = container === undefined ? undefined : amountOf(container, resourceFieldRef);
      if (amount !== undefined) return amount;
    }
    const asked = fieldRef?.fieldPath ?? resourceFieldRef?.resource ?? 'nothing';
    throw manifestError(`file ${JSON.stringify(path)}: podwire's kubelet has no ${asked} for a volume`);
  }

  #set(path: string, bytes: Uint8Array, mode = this.#mode, uid?: number): void {
    // Names that begin with two dots belong to the folder's own links: atomic-folder.ts.
    if (!/^(?!\/|\.\.|$)[^\0]*$/.test(path) || path.split('/').some((part) => ['', '.', '..'].includes(part))) {
      throw manifestError(`path ${JSON.stringify(path)} cannot be a file of a volume`);
    }
    this.files.set(path, { bytes, mode, ...(uid === undefined ? {} : { uid }) });
  }
}

function containersOf({ spec }: Pod): readonly Container[] {
  return [...spec.containers, ...(spec.initContainers ?? [])];
}

/** The user of all containers, if they say one and the same. */
function onlyUserOf(pod: Pod): number | undefined {
  const common = pod.spec.securityContext?.runAsUser;
  const users = new Set(containersOf(pod).map(({ securityContext }) => securityContext?.runAsUser ?? common));
  return users.size === 1 ? [...users][0] : undefined;
}

function contentOf({ data = {}, binaryData = {} }: ConfigMap): ReadonlyMap<string, Uint8Array> {
  return new Map([
    ...Object.entries(data).map(([key, text]) => [key, Buffer.from(text)] as const),
    ...Object.entries(binaryData).map(([key, text]) => [key, Buffer.from(text, 'base64')] as const),
  ]);
}

function secretContent({ data = {} }: Secret): ReadonlyMap<string, Uint8Array> {
  return new Map(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64')]));
}
