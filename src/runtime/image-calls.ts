import { grpcCodes, type ImageServiceHandlers, RuntimeCallError } from '../cri/index.ts';
import { nowNs } from './ending.ts';
import { FolderMeter } from './folder-meter.ts';
import { HOST_IMAGE, type HostImage } from './host-image.ts';
import type { ImageStore, StoredImage } from './image/index.ts';

type ImageCalls = Pick<
  ImageServiceHandlers,
  'listImages' | 'imageStatus' | 'pullImage' | 'removeImage' | 'imageFsInfo'
>;

export interface ImageCallsOptions {
  readonly host: HostImage;
  readonly images: ImageStore;
  readonly stateDir: string;
}

/** The calls about images: the built-in one and those that were imported. Nothing is pulled. @see cri.md 8 */
export function imageCalls({ host, images, stateDir }: ImageCallsOptions): ImageCalls {
  const meter = new FolderMeter(images.path);
  const find = (reference: string) => {
    if (host.isNamedBy(reference)) return host.entry();
    const image = images.find(reference);
    return image === undefined ? undefined : entryOf(image);
  };
  return {
    listImages: async ({ filter }) => {
      const reference = filter?.image?.image ?? '';
      if (reference === '') return { images: [host.entry(), ...images.list().map(entryOf)] };
      const image = find(reference);
      return { images: image === undefined ? [] : [image] };
    },
    imageStatus: async ({ image, verbose }) => {
      const found = find(image?.image ?? '');
      if (found === undefined) return {};
      const config = images.find(found.id)?.config;
      return { image: found, ...(verbose && config !== undefined && { info: { info: JSON.stringify({ config }) } }) };
    },
    pullImage: async ({ image }) => {
      const reference = image?.image ?? '';
      const found = find(reference);
      if (found !== undefined) return { imageRef: found.id };
      const rule = 'this runtime pulls nothing: give it the image with `podwire image import FILE`';
      throw new RuntimeCallError(grpcCodes.NotFound, `failed to pull image ${JSON.stringify(reference)}: ${rule}`);
    },
    removeImage: async ({ image }) => {
      const reference = image?.image ?? '';
      if (host.isNamedBy(reference)) {
        throw new RuntimeCallError(grpcCodes.FailedPrecondition, `${HOST_IMAGE} is built in and cannot be removed`);
      }
      await images.remove(reference);
      return {};
    },
    imageFsInfo: async () => {
      const { bytes, inodes } = await meter.read();
      const usage = { fsId: { mountpoint: stateDir }, usedBytes: { value: bytes }, inodesUsed: { value: inodes } };
      return { imageFilesystems: [{ timestamp: nowNs(), ...usage }] };
    },
  };
}

/** The user part of `user:group` is an id or a name. */
function entryOf({ id, repoTags, repoDigests, sizeBytes, config }: StoredImage) {
  const [user = ''] = config.user.split(':');
  const isNumber = /^\d+$/.test(user);
  return {
    id,
    repoTags: [...repoTags],
    repoDigests: [...repoDigests],
    size: BigInt(sizeBytes),
    spec: { image: id },
    ...(isNumber ? { uid: { value: BigInt(user) } } : { username: user }),
  };
}
