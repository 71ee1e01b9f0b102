import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ExecPathError } from '../../common/errors.ts';
import type { ImageFiles } from './archive.ts';
import { isDigest } from './reference.ts';

/** Indexes in indexes go no deeper than this. */
const MAX_INDEX_DEPTH = 4;

const digest = z.string().refine(isDigest, 'is not sha256: and 64 hex digits');
const descriptor = z.object({
  digest,
  mediaType: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  platform: z.object({ architecture: z.string(), os: z.string() }).optional(),
});
const index = z.object({ manifests: z.array(descriptor) });
const manifest = z.object({ config: descriptor, layers: z.array(descriptor) });
const dockerManifest = z.array(
  z.object({ Config: z.string(), RepoTags: z.array(z.string()).nullish(), Layers: z.array(z.string()) }),
);
const configuration = z.object({
  architecture: z.string().optional(),
  created: z.string().nullish(),
  config: z
    .object({
      User: z.string().nullish(),
      Env: z.array(z.string()).nullish(),
      Entrypoint: z.array(z.string()).nullish(),
      Cmd: z.array(z.string()).nullish(),
      WorkingDir: z.string().nullish(),
      StopSignal: z.string().nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(digest) }),
});

/** What an image says about its containers. */
export interface ImageConfig {
  /** `user`, `uid`, `user:group`, …; empty for none. */
  readonly user: string;
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir: string;
  /** `SIGTERM` or `15`; empty for none. */
  readonly stopSignal: string;
  /** RFC 3339, as whoever built it says; empty for not said. */
  readonly created: string;
}

/** One image of an archive, its digests verified but those of its layers. */
export interface ArchivedImage {
  /** Digest of the configuration: the image's id. */
  readonly id: string;
  readonly config: ImageConfig;
  /** References as the archive gives them. */
  readonly names: readonly string[];
  readonly manifestDigest: string | undefined;
  readonly layers: readonly {
    readonly path: string;
    /** Of the file as it is; undefined where the archive does not tell. */
    readonly digest: string | undefined;
    /** Of the uncompressed archive. */
    readonly diffId: string;
  }[];
}

/**
 * The images of an archive for this machine: of an OCI index, else of a `docker save` manifest.
 *
 * @throws ExecPathError ERR_IMAGE_ARCHIVE; ERR_IMAGE_DIGEST
 * @see OCI image-spec 1.0: image-layout.md, image-index.md, manifest.md, config.md
 */
export function imagesOf(files: ImageFiles): ArchivedImage[] {
  const found = files.has('index.json')
    ? indexed(files, parse(index, files.read('index.json'), 'index.json'), { names: [], depth: 0 })
    : dockerImages(files);
  const byId = new Map<string, ArchivedImage>();
  for (const image of found) {
    const names = new Set([...(byId.get(image.id)?.names ?? []), ...image.names]);
    byId.set(image.id, { ...image, names: [...names] });
  }
  if (byId.size > 0) return [...byId.values()];
  throw new ExecPathError('ERR_IMAGE_ARCHIVE', `the archive has no image for linux/${architecture()}`);
}

function indexed(
  files: ImageFiles,
  { manifests }: z.infer<typeof index>,
  { names, depth }: { readonly names: readonly string[]; readonly depth: number },
): ArchivedImage[] {
  if (depth > MAX_INDEX_DEPTH)
    throw new ExecPathError('ERR_IMAGE_ARCHIVE', 'the archive has an index in an index without end');
  return manifests.filter(isForThisMachine).flatMap((entry) => {
    const own = [...names, ...namesOf(entry.annotations ?? {})];
    const bytes = blob(files, entry.digest);
    const value: unknown = parse(z.unknown(), bytes, entry.digest);
    const nested = index.safeParse(value);
    if (nested.success) return indexed(files, nested.data, { names: own, depth: depth + 1 });
    const { config, layers } = check(manifest, value, entry.digest);
    return [
      imageOf(blob(files, config.digest), {
        names: own,
        manifestDigest: entry.digest,
        layers: layers.map((layer) => ({ path: files.path(blobName(layer.digest)), digest: layer.digest })),
      }),
    ];
  });
}

function dockerImages(files: ImageFiles): ArchivedImage[] {
  return parse(dockerManifest, files.read('manifest.json'), 'manifest.json').map(({ Config, RepoTags, Layers }) =>
    imageOf(files.read(Config), {
      names: RepoTags ?? [],
      manifestDigest: undefined,
      layers: Layers.map((name) => ({ path: files.path(name), digest: undefined })),
    }),
  );
}

function imageOf(
  bytes: Buffer,
  rest: {
    readonly names: readonly string[];
    readonly manifestDigest: string | undefined;
    readonly layers: readonly { readonly path: string; readonly digest: string | undefined }[];
  },
): ArchivedImage {
  const { config, rootfs, created } = parse(configuration, bytes, 'the configuration of an image');
  if (rootfs.diff_ids.length !== rest.layers.length) {
    const counts = `${rest.layers.length} layers and ${rootfs.diff_ids.length} of their digests`;
    throw new ExecPathError('ERR_IMAGE_ARCHIVE', `an image of the archive has ${counts}`);
  }
  return {
    ...rest,
    id: digestOf(bytes),
    config: {
      user: config?.User ?? '',
      env: config?.Env ?? [],
      entrypoint: config?.Entrypoint ?? [],
      cmd: config?.Cmd ?? [],
      workingDir: config?.WorkingDir ?? '',
      stopSignal: config?.StopSignal ?? '',
      created: created ?? '',
    },
    layers: rest.layers.map((layer, at) => ({ ...layer, diffId: rootfs.diff_ids[at] ?? '' })),
  };
}

/** containerd and skopeo write the whole name; `docker buildx` and plain layouts a tag alone, which names nothing. */
function namesOf(annotations: Readonly<Record<string, string>>): string[] {
  const name = annotations['io.containerd.image.name'] ?? annotations['org.opencontainers.image.ref.name'] ?? '';
  return /[/:]/.test(name) ? [name] : [];
}

function isForThisMachine({ platform, annotations }: z.infer<typeof descriptor>): boolean {
  // Attestations of BuildKit are manifests that are no images.
  if (annotations?.['vnd.docker.reference.type'] !== undefined) return false;
  return platform === undefined || (platform.os === 'linux' && platform.architecture === architecture());
}

function architecture(): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
  return names[process.arch] ?? process.arch;
}

function blobName(of: string): string {
  return `blobs/sha256/${of.slice('sha256:'.length)}`;
}

function blob(files: ImageFiles, wanted: string): Buffer {
  const bytes = files.read(blobName(wanted));
  const actual = digestOf(bytes);
  if (actual === wanted) return bytes;
  throw new ExecPathError('ERR_IMAGE_DIGEST', `blob ${wanted} of the archive has digest ${actual}`);
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function parse<Shape extends z.ZodType>(shape: Shape, bytes: Buffer, what: string): z.infer<Shape> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch (cause) {
    throw new ExecPathError('ERR_IMAGE_ARCHIVE', `${what} is not JSON`, { cause });
  }
  return check(shape, value, what);
}

function check<Shape extends z.ZodType>(shape: Shape, value: unknown, what: string): z.infer<Shape> {
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new ExecPathError('ERR_IMAGE_ARCHIVE', `${what}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
}
