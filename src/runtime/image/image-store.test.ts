import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { mustRun } from '../../../test/support/child.ts';
import { type TarEntry, tarOf } from '../../../test/support/tar.ts';
import { ImageStore } from './image-store.ts';

let directory: string;
let store: ImageStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwire-images-'));
  writeFileSync(join(directory, 'outside'), 'untouched');
  store = new ImageStore(join(directory, 'state'));
});

afterEach(() => {
  vi.useRealTimers();
  expect(readFileSync(join(directory, 'outside'), 'utf8')).toBe('untouched');
  rmSync(directory, { recursive: true });
});

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const file = (name: string, text: string, mode = 0o644): TarEntry => ({
  kind: 'file',
  name,
  mode,
  body: Buffer.from(text),
});
const folder = (name: string, mode = 0o755): TarEntry => ({ kind: 'directory', name, mode });
const symlink = (name: string, target: string): TarEntry => ({ kind: 'symlink', name, target });
const hardlink = (name: string, target: string): TarEntry => ({ kind: 'hardlink', name, target });

interface Parts {
  readonly names?: readonly string[];
  readonly user?: string;
  /** Changes what is stored as a blob, after its digest was taken. */
  readonly damage?: (name: string, bytes: Buffer) => Buffer;
  readonly pack?: (layer: Buffer) => Buffer;
}

/** The files of an OCI layout with one image of these layers. */
function layout(layers: readonly TarEntry[][], parts: Parts = {}): [name: string, bytes: Buffer][] {
  const {
    names = ['podwire.local/test:1'],
    user = '',
    damage = (_name, bytes) => bytes,
    pack = (layer) => layer,
  } = parts;
  const tars = layers.map(tarOf);
  const packed = tars.map(pack);
  const config = json({
    architecture: 'amd64',
    os: 'linux',
    config: { User: user, Env: ['A=b'], Cmd: ['sh'], WorkingDir: '/w', StopSignal: 'SIGINT' },
    rootfs: { type: 'layers', diff_ids: tars.map(sha256) },
  });
  const manifest = json({
    schemaVersion: 2,
    config: { digest: sha256(config), size: config.length },
    layers: packed.map((bytes) => ({ digest: sha256(bytes), size: bytes.length })),
  });
  const index = {
    schemaVersion: 2,
    manifests: names.map((name) => ({
      digest: sha256(manifest),
      annotations: { 'org.opencontainers.image.ref.name': name },
    })),
  };
  const blobs: [string, Buffer][] = [
    ['config', config],
    ['manifest', manifest],
    ...packed.map((bytes): [string, Buffer] => ['layer', bytes]),
  ];
  return [
    ['index.json', json(index)],
    ...blobs.map(([name, bytes]): [string, Buffer] => [`blobs/sha256/${sha256(bytes).slice(7)}`, damage(name, bytes)]),
  ];
}

function archive(layers: readonly TarEntry[][], parts: Parts = {}): string {
  const path = join(directory, 'image.tar');
  const entries = layout(layers, parts).map(([name, body]): TarEntry => ({ kind: 'file', name, mode: 0o644, body }));
  writeFileSync(path, tarOf(entries));
  return path;
}

async function imported(layers: readonly TarEntry[][], parts: Parts = {}): Promise<string> {
  const [image] = await store.import(archive(layers, parts));
  return image!.rootfs;
}

const read = (rootfs: string, name: string): string => readFileSync(join(rootfs, name), 'utf8');
const leftovers = (): string[] => readdirSync(store.path).filter((name) => name.startsWith('.'));

describe('an image store', () => {
  it('takes in an OCI archive with its names, configuration and files', async () => {
    const [image] = await store.import(archive([[folder('bin/'), file('bin/tool', 'x', 0o4755)]], { user: '7:8' }), {
      names: ['busybox'],
    });
    expect(image!.id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(image!.repoTags).toEqual(['docker.io/library/busybox:latest', 'podwire.local/test:1']);
    expect(image!.repoDigests[0]).toMatch(/^docker.io\/library\/busybox@sha256:/);
    expect(image!.config).toMatchObject({
      user: '7:8',
      env: ['A=b'],
      cmd: ['sh'],
      workingDir: '/w',
      stopSignal: 'SIGINT',
    });
    expect(statSync(join(image!.rootfs, 'bin/tool')).mode & 0o7777).toBe(0o4755);
    expect(leftovers()).toEqual([]);
  });

  it('finds an image by id, short id, name, tag and digest, and nothing by half of a name', async () => {
    const [image] = await store.import(archive([[file('a', '')]], { names: ['docker.io/library/thing:latest'] }));
    const digest = image!.repoDigests[0]!;
    for (const reference of [image!.id, image!.id.slice(7), image!.id.slice(7, 19), 'thing', 'thing:latest', digest]) {
      expect(store.find(reference)?.id, reference).toBe(image!.id);
    }
    for (const reference of ['', 'thin', 'thing:2', `thing@sha256:${'0'.repeat(64)}`, 'sha256:']) {
      expect(store.find(reference), reference).toBeUndefined();
    }
  });

  it('reads an OCI layout folder, and a docker save archive', async () => {
    const parts = layout([[file('a', 'layout')]]);
    for (const [name, bytes] of parts) {
      mkdirSync(join(directory, 'layout', dirname(name)), { recursive: true });
      writeFileSync(join(directory, 'layout', name), bytes);
    }
    const [fromFolder] = await store.import(join(directory, 'layout'));
    expect(read(fromFolder!.rootfs, 'a')).toBe('layout');

    const layer = tarOf([file('a', 'docker')]);
    const config = json({ config: {}, rootfs: { diff_ids: [sha256(layer)] } });
    const manifest = json([{ Config: 'c.json', RepoTags: ['saved:2'], Layers: ['l/layer.tar'] }]);
    const saved = { 'manifest.json': manifest, 'c.json': config, 'l/layer.tar': layer };
    const entries = Object.entries(saved).map(([name, body]): TarEntry => ({ kind: 'file', name, mode: 0o644, body }));
    writeFileSync(join(directory, 'saved.tar'), gzipSync(tarOf(entries)));
    const [fromDocker] = await store.import(join(directory, 'saved.tar'));
    expect(fromDocker!.repoTags).toEqual(['docker.io/library/saved:2']);
    expect(read(fromDocker!.rootfs, 'a')).toBe('docker');
  });

  it('moves a name to the image imported last, and keeps the other one without it', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const [one] = await store.import(archive([[file('a', '1')]]));
    const [two] = await store.import(archive([[file('a', '2')]]));
    expect(store.find('podwire.local/test:1')?.id).toBe(two!.id);
    expect(store.find(one!.id)?.repoTags).toEqual([]);
    expect(await store.remove('podwire.local/test:1')).toBe(true);
    expect(await store.remove(two!.id)).toBe(false);
    expect(store.list().map(({ id }) => id)).toEqual([one!.id]);
    expect(leftovers()).toEqual([]);
  });

  it('takes a name away for good, also from the image that had it before', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const [one] = await store.import(archive([[file('a', '1')]]));
    const [two] = await store.import(archive([[file('a', '2')]]));
    store.untag('podwire.local/test:1');
    expect(store.find('podwire.local/test:1')).toBeUndefined();
    expect(store.list().map(({ id, repoTags, repoDigests }) => [id, repoTags, repoDigests])).toEqual(
      [one!.id, two!.id].sort().map((id) => [id, [], []]),
    );
    await store.import(archive([[file('a', '1')]]));
    expect(store.find('podwire.local/test:1')?.id).toBe(one!.id);
    expect(store.find(one!.id)?.repoDigests).toHaveLength(1);
  });

  it.each(['config', 'manifest', 'layer'])('refuses a damaged %s and keeps nothing of it', async (damaged) => {
    const damage = (name: string, bytes: Buffer): Buffer =>
      name === damaged ? Buffer.concat([bytes, Buffer.from(' ')]) : bytes;
    await expect(store.import(archive([[file('a', '')]], { damage }))).rejects.toMatchObject({
      code: 'ERR_IMAGE_DIGEST',
    });
    expect(readdirSync(store.path)).toEqual([]);
  });

  it.each([
    ['that is cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['that is no archive', () => Buffer.from('hello'.repeat(300))],
    ['without image', () => tarOf([file('index.json', '{"manifests":[]}')])],
    ['with names that leave it', () => tarOf([file('../evil', 'x')])],
    ['that is empty', () => Buffer.alloc(0)],
  ])('refuses an archive %s', async (_title, change) => {
    const path = archive([[file('a', 'x'.repeat(3000))]]);
    writeFileSync(path, change(readFileSync(path)));
    await expect(store.import(path)).rejects.toMatchObject({ code: 'ERR_IMAGE_ARCHIVE' });
    expect(readdirSync(store.path)).toEqual([]);
  });

  it('removes what an import that was killed has left', async () => {
    mkdirSync(join(store.path, '.import-999999999-x'), { recursive: true });
    mkdirSync(join(store.path, 'f'.repeat(64), 'rootfs'), { recursive: true });
    await imported([[file('a', '')]]);
    expect(leftovers()).toEqual([]);
    expect(store.list()).toHaveLength(1);
  });
});

describe('layers', () => {
  it('lie over each other: later files win, whiteouts hide, an opaque folder hides all below it', async () => {
    const rootfs = await imported(
      [
        [folder('d/'), file('d/old', '1'), file('d/kept', '1'), folder('o/'), file('o/low', '1'), file('gone', '1')],
        [
          file('d/kept', '2'),
          file('d/.wh.old', ''),
          file('.wh.gone', ''),
          file('o/high', '2'),
          file('o/.wh..wh..opq', ''),
        ],
      ],
      { pack: (layer) => gzipSync(layer) },
    );
    expect(readdirSync(join(rootfs, 'd'))).toEqual(['kept']);
    expect(read(rootfs, 'd/kept')).toBe('2');
    expect(readdirSync(join(rootfs, 'o'))).toEqual(['high']);
    expect(existsSync(join(rootfs, 'gone'))).toBe(false);
  });

  it('replace a folder by a file and a file by a folder', async () => {
    const rootfs = await imported([
      [folder('a/'), file('a/x', ''), file('b', '')],
      [file('a', 'file'), folder('b/'), file('b/y', 'in folder')],
    ]);
    expect([read(rootfs, 'a'), read(rootfs, 'b/y')]).toEqual(['file', 'in folder']);
  });

  it('follow links of the image inside it only', async () => {
    const up = '../'.repeat(20);
    const rootfs = await imported([
      [folder('usr/lib/'), symlink('lib', 'usr/lib'), symlink('up', `${up}${directory}`), symlink('abs', directory)],
      [
        file('lib/a', 'in usr'),
        file('up/outside', 'evil'),
        file('abs/outside', 'evil'),
        file(`${up}${directory}/outside`, 'evil'),
      ],
    ]);
    expect(read(rootfs, 'usr/lib/a')).toBe('in usr');
    expect(read(rootfs, `${directory}/outside`)).toBe('evil');
  });

  it('never write through a link that was in the place of a file', async () => {
    const rootfs = await imported([[symlink('f', join(directory, 'outside'))], [file('f', 'new')]]);
    expect(read(rootfs, 'f')).toBe('new');
  });

  it('link hard to files of the image alone', async () => {
    const rootfs = await imported([[file('a', 'x'), hardlink('b', 'a'), hardlink('c', '/../a')]]);
    expect(statSync(join(rootfs, 'c')).nlink).toBe(3);
    const outside = hardlink('x', `${'../'.repeat(20)}${directory}/outside`);
    await expect(store.import(archive([[outside]]))).rejects.toMatchObject({ code: 'ERR_IMAGE_LAYER' });
    const throughLink = [symlink('l', directory), hardlink('x', 'l/outside')];
    await expect(store.import(archive([throughLink]))).rejects.toMatchObject({ code: 'ERR_IMAGE_LAYER' });
  });

  it('make no device nodes and no FIFOs, and take none away', async () => {
    const rootfs = await imported([
      [folder('dev/'), file('dev/null', 'a file')],
      [
        { kind: 'character-device', name: 'dev/zero' },
        { kind: 'block-device', name: 'dev/disk' },
        { kind: 'fifo', name: 'dev/pipe' },
        { kind: 'character-device', name: 'dev/null' },
      ],
    ]);
    expect(readdirSync(join(rootfs, 'dev'))).toEqual(['null']);
    expect(read(rootfs, 'dev/null')).toBe('a file');
  });

  it.skipIf(process.getuid?.() !== 0)('that unpack to more than the disk holds leave nothing on it', async () => {
    const small = join(directory, 'small');
    mkdirSync(small);
    await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'podwire-small', small]);
    try {
      const bomb = archive([[file('zeros', '\0'.repeat(64 * 1024 * 1024))]], { pack: (layer) => gzipSync(layer) });
      expect(statSync(bomb).size).toBeLessThan(1024 * 1024);
      const there = new ImageStore(join(small, 'state'));
      await expect(there.import(bomb)).rejects.toMatchObject({ code: 'ERR_IMAGE_SPACE' });
      expect(readdirSync(there.path)).toEqual([]);
    } finally {
      await mustRun('umount', ['-l', small]);
    }
  });

  it('hide nothing outside, however a whiteout is named', async () => {
    const rootfs = await imported([
      [file('a', ''), symlink('l', directory)],
      [file('.wh...', ''), file('l/.wh.outside', '')],
    ]);
    expect(existsSync(join(rootfs, 'a'))).toBe(true);
  });
});
