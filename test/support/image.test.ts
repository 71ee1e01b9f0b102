import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mustRun } from './child.ts';
import { findBusybox, imageArchive, TEST_IMAGE } from './image.ts';

interface Descriptor {
  digest: string;
  size: number;
}

describe.skipIf(findBusybox() === undefined)('the test image', () => {
  it('is an OCI layout whose digests hold, and a docker archive of the same blobs', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'podwire-image-'));
    try {
      writeFileSync(join(directory, 'image.tar'), imageArchive({ names: [TEST_IMAGE, 'other.local/name:2'] }));
      await mustRun('tar', ['-xf', 'image.tar'], { cwd: directory });
      const json = (path: string): unknown => JSON.parse(readFileSync(join(directory, path), 'utf8'));
      const blob = ({ digest, size }: Descriptor): string => {
        const path = `blobs/${digest.replace(':', '/')}`;
        const bytes = readFileSync(join(directory, path));
        expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(digest);
        expect(bytes.length).toBe(size);
        return path;
      };
      const { manifests } = json('index.json') as { manifests: Descriptor[] };
      expect(manifests).toHaveLength(2);
      const manifest = json(blob(manifests[0]!)) as { config: Descriptor; layers: Descriptor[] };
      const config = json(blob(manifest.config)) as { rootfs: { diff_ids: string[] } };
      const layer = blob(manifest.layers[0]!);
      expect(config.rootfs.diff_ids).toEqual([manifest.layers[0]!.digest]);
      const tags = [TEST_IMAGE, 'other.local/name:2'];
      expect(json('manifest.json')).toEqual([{ Config: blob(manifest.config), RepoTags: tags, Layers: [layer] }]);
      const files = (await mustRun('tar', ['-tf', layer], { cwd: directory })).split('\n');
      for (const name of ['bin/sh', 'bin/vi', 'bin/top', 'bin/stty', 'etc/passwd', 'tmp/'])
        expect(files).toContain(name);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('is the same bytes each time', () => {
    expect(imageArchive().equals(imageArchive())).toBe(true);
  });
});
