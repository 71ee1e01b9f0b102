import { createHash } from 'node:crypto';
import { getuid } from 'node:process';

/** The image that is no image: its containers run the commands of the host and are isolated from nothing. */
export const HOST_IMAGE = 'podwire.local/host';

const digest = `sha256:${createHash('sha256').update(HOST_IMAGE).digest('hex')}`;
/** Its id, which stands for it in every answer. */
export const HOST_IMAGE_ID = digest;
/** What a container reports as the digested reference that it runs. */
export const HOST_IMAGE_REF = `${HOST_IMAGE}@${digest}`;

export interface HostImageOptions {
  /** Other references that mean the host image too, such as those a test suite insists on. */
  readonly aliases?: readonly string[];
}

/** The built-in image and its names. */
export class HostImage {
  readonly #aliases: ReadonlySet<string>;

  constructor(options: HostImageOptions) {
    this.#aliases = new Set((options.aliases ?? []).map(withTag));
  }

  /** Whether `reference` (id, short id, name, name:tag, name@digest) means the host image. */
  isNamedBy(reference: string): boolean {
    if (reference === HOST_IMAGE_ID || reference === HOST_IMAGE_REF) return true;
    if (/^[0-9a-f]{12,64}$/.test(reference)) return digest.slice('sha256:'.length).startsWith(reference);
    const name = withTag(reference);
    return name === `${HOST_IMAGE}:latest` || this.#aliases.has(name);
  }

  /** As the image service tells of it. It is always there. */
  entry() {
    return {
      id: HOST_IMAGE_ID,
      repoTags: [`${HOST_IMAGE}:latest`, ...this.#aliases],
      repoDigests: [HOST_IMAGE_REF],
      // A kubelet takes 0 for an error.
      size: 1n,
      spec: { image: HOST_IMAGE_ID },
      // Whoever is not named runs as the runtime itself.
      uid: { value: BigInt(getuid?.() ?? 0) },
      pinned: true,
    };
  }
}

/** `name` is `name:latest`; a colon before the last slash belongs to a port. */
function withTag(reference: string): string {
  return /:[^/]*$/.test(reference) ? reference : `${reference}:latest`;
}
