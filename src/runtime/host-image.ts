import { createHash } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { grpcCodes, type ImageServiceHandlers, RuntimeCallError } from '../cri/index.ts';

/** The image that is no image: its containers run the commands of the host and are isolated from nothing. */
export const HOST_IMAGE = 'podwire.local/host';

const digest = `sha256:${createHash('sha256').update(HOST_IMAGE).digest('hex')}`;
/** Its id, which stands for it in every answer. */
export const HOST_IMAGE_ID = digest;
/** What a container reports as the digested reference that it runs. */
export const HOST_IMAGE_REF = `${HOST_IMAGE}@${digest}`;

export interface HostImageOptions {
  /** The directory that a kubelet watches for free space. */
  readonly stateDir: string;
  /** Other references that mean the host image too, such as those a test suite insists on. */
  readonly aliases?: readonly string[];
}

/** Answers to the image service: there is one image, it is always there and it cannot be removed. */
export class HostImage {
  readonly #stateDir: string;
  readonly #aliases: ReadonlySet<string>;

  constructor(options: HostImageOptions) {
    this.#stateDir = options.stateDir;
    this.#aliases = new Set((options.aliases ?? []).map(withTag));
  }

  /** Whether `reference` (id, short id, name, name:tag, name@digest) means the host image. */
  isNamedBy(reference: string): boolean {
    if (reference === HOST_IMAGE_ID || reference === HOST_IMAGE_REF) return true;
    if (/^[0-9a-f]{12,64}$/.test(reference)) return digest.slice('sha256:'.length).startsWith(reference);
    const name = withTag(reference);
    return name === `${HOST_IMAGE}:latest` || this.#aliases.has(name);
  }

  handlers(): Partial<ImageServiceHandlers> {
    const image = {
      id: HOST_IMAGE_ID,
      repoTags: [`${HOST_IMAGE}:latest`, ...this.#aliases],
      repoDigests: [HOST_IMAGE_REF],
      // A kubelet takes 0 for an error.
      size: 1n,
      spec: { image: HOST_IMAGE_ID },
      pinned: true,
    };
    const names = (reference: string | undefined): boolean => this.isNamedBy(reference ?? '');
    return {
      listImages: async ({ filter }) => ({
        images:
          filter?.image?.image === undefined || filter.image.image === '' || names(filter.image.image) ? [image] : [],
      }),
      imageStatus: async (request) => (names(request.image?.image) ? { image } : {}),
      pullImage: async (request) => {
        if (names(request.image?.image)) return { imageRef: HOST_IMAGE_ID };
        const reference = JSON.stringify(request.image?.image ?? '');
        throw new RuntimeCallError(
          grpcCodes.NotFound,
          `failed to pull image ${reference}: this runtime has no images but ${HOST_IMAGE}`,
        );
      },
      removeImage: async (request) => {
        if (!names(request.image?.image)) return {};
        throw new RuntimeCallError(grpcCodes.FailedPrecondition, `${HOST_IMAGE} is built in and cannot be removed`);
      },
      imageFsInfo: async () => ({ imageFilesystems: [this.#usage()] }),
    };
  }

  #usage(): {
    timestamp: bigint;
    fsId: { mountpoint: string };
    usedBytes: { value: bigint };
    inodesUsed: { value: bigint };
  } {
    const stats = statfsSync(this.#stateDir, { bigint: true });
    return {
      timestamp: BigInt(Date.now()) * 1_000_000n,
      fsId: { mountpoint: this.#stateDir },
      usedBytes: { value: (stats.blocks - stats.bfree) * stats.bsize },
      inodesUsed: { value: stats.files - stats.ffree },
    };
  }
}

/** `name` is `name:latest`; a colon before the last slash belongs to a port. */
function withTag(reference: string): string {
  return /:[^/]*$/.test(reference) ? reference : `${reference}:latest`;
}
