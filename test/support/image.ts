import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { type TarEntry, tarOf } from './tar.ts';

/** The image that tests run containers from: BusyBox with all its applets, and nothing else. */
export const TEST_IMAGE = 'podwire.local/busybox:1';
/** The same file system with a command that waits: the pause image of a pod sandbox. */
export const PAUSE_IMAGE = 'podwire.local/pause:1';

const BUSYBOX_PATHS = ['/bin/busybox', '/usr/bin/busybox'];
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface ImageOptions {
  /** Full references under which the image is known after the import. Default: TEST_IMAGE. */
  readonly names?: readonly string[];
  /** Default: `sh`. */
  readonly command?: readonly string[];
  /** Added to the root file system, over what is there. */
  readonly files?: readonly TarEntry[];
}

/**
 * An image archive of BusyBox for this machine's architecture. It is an OCI layout and a `docker save` archive at once,
 * so that `ctr images import`, `docker load` and our runtime all read it.
 *
 * The bytes depend on the BusyBox binary and the options alone.
 *
 * @throws Error when no statically linked BusyBox is installed
 * @see OCI image-spec 1.0, image-layout.md and config.md
 */
export function imageArchive(options: ImageOptions = {}): Buffer {
  const layer = tarOf([...rootFileSystem(), ...(options.files ?? [])]);
  const config = json({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: { Env: [`PATH=${PATH}`], Cmd: options.command ?? ['sh'], WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
    history: [{ created: '1970-01-01T00:00:00Z', created_by: 'podwire tests' }],
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [descriptor('application/vnd.oci.image.layer.v1.tar', layer)],
  });
  return tarOf(archiveEntries(options.names ?? [TEST_IMAGE], { layer, config, manifest }));
}

/** The archive of the pause image: see PAUSE_IMAGE. */
export function pauseArchive(): Buffer {
  return imageArchive({ names: [PAUSE_IMAGE], command: ['sleep', '2147483647'] });
}

/** Path of a static BusyBox, or undefined. */
export function findBusybox(): string | undefined {
  return BUSYBOX_PATHS.find((path) => existsSync(path) && isStatic(readFileSync(path)));
}

interface Blobs {
  readonly layer: Buffer;
  readonly config: Buffer;
  readonly manifest: Buffer;
}

function archiveEntries(names: readonly string[], { layer, config, manifest }: Blobs): TarEntry[] {
  const index = {
    schemaVersion: 2,
    manifests: names.map((name) => ({
      ...descriptor('application/vnd.oci.image.manifest.v1+json', manifest),
      annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name },
    })),
  };
  const docker = [{ Config: blobPath(config), RepoTags: names, Layers: [blobPath(layer)] }];
  return [
    file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
    file('index.json', json(index)),
    file('manifest.json', json(docker)),
    ...[config, manifest, layer].map((blob) => file(blobPath(blob), blob)),
  ];
}

/** The root file system: one binary, a hard link for every applet, and what programs expect to find. */
function rootFileSystem(): TarEntry[] {
  const busybox = findBusybox();
  if (busybox === undefined)
    throw new Error(`no static BusyBox at ${BUSYBOX_PATHS.join(' or ')}: install busybox-static`);
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n');
  const directories = ['bin', 'dev', 'etc', 'proc', 'root', 'sys', 'tmp', 'usr', 'usr/bin', 'var', 'var/tmp', 'www'];
  return [
    ...directories.map((name): TarEntry => {
      return { kind: 'directory', name: `${name}/`, mode: name.endsWith('tmp') ? 0o1777 : 0o755 };
    }),
    { kind: 'file', name: 'bin/busybox', mode: 0o755, body: readFileSync(busybox) },
    ...applets
      .filter((applet) => applet !== '' && applet !== 'busybox')
      .map((applet): TarEntry => ({ kind: 'hardlink', name: `bin/${applet}`, target: 'bin/busybox' })),
    { kind: 'symlink', name: 'usr/bin/env', target: '/bin/env' },
    file('etc/passwd', Buffer.from('root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n')),
    file('etc/group', Buffer.from('root:x:0:\nnogroup:x:65534:\n')),
    file('www/index.html', Buffer.from('podwire\n')),
  ];
}

function file(name: string, body: Uint8Array): TarEntry {
  return { kind: 'file', name, mode: 0o644, body };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function blobPath(bytes: Uint8Array): string {
  return `blobs/sha256/${sha256(bytes)}`;
}

function descriptor(mediaType: string, bytes: Uint8Array): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length };
}

const PT_INTERP = 3;

/** A dynamic ELF file names its loader in a segment of type PT_INTERP (64-bit, little endian). */
function isStatic(elf: Buffer): boolean {
  if (elf.toString('latin1', 0, 4) !== '\u007fELF' || elf[4] !== 2) return false;
  const table = Number(elf.readBigUInt64LE(32));
  const entryBytes = elf.readUInt16LE(54);
  const types = Array.from({ length: elf.readUInt16LE(56) }, (_, index) =>
    elf.readUInt32LE(table + index * entryBytes),
  );
  return !types.includes(PT_INTERP);
}
