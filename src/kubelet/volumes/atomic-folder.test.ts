import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeAtomically } from './atomic-folder.ts';
import type { VolumeFiles } from './volume-files.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const filesOf = (texts: Record<string, string>, mode = 0o644): VolumeFiles =>
  new Map(Object.entries(texts).map(([path, text]) => [path, { bytes: Buffer.from(text), mode }]));

const read = (path: string): string => readFileSync(join(folder, path), 'utf8');

const GONE = 'exchanged meanwhile';

/** Both files of one of the folders that `..data` leads to. */
function pairIn(present: string): string {
  try {
    return `${read(`${present}/a`)} ${read(`${present}/b/c`)}`;
  } catch {
    return GONE;
  }
}

describe('a folder whose files are exchanged all at once', () => {
  it('has links to the present files, and only those', async () => {
    await writeAtomically(folder, filesOf({ a: '1', 'b/c': '2', 'b/d': '3' }));
    expect([read('a'), read('b/c'), read('b/d')]).toEqual(['1', '2', '3']);
    expect(readlinkSync(join(folder, 'a'))).toBe('..data/a');
    await writeAtomically(folder, filesOf({ a: '4', 'e/f': '5' }));
    expect([read('a'), read('e/f')]).toEqual(['4', '5']);
    expect(readdirSync(folder).filter((name) => !name.startsWith('..'))).toEqual(['a', 'e']);
    expect(readdirSync(folder).length).toBe(4);
  });

  it('stays as it is when nothing has changed', async () => {
    await writeAtomically(folder, filesOf({ a: '1' }));
    const before = readlinkSync(join(folder, '..data'));
    await writeAtomically(folder, filesOf({ a: '1' }));
    expect(readlinkSync(join(folder, '..data'))).toBe(before);
    await writeAtomically(folder, filesOf({ a: '1' }, 0o600));
    expect(readlinkSync(join(folder, '..data'))).not.toBe(before);
  });

  it('is empty for no files', async () => {
    await writeAtomically(folder, filesOf({ a: '1' }));
    await writeAtomically(folder, new Map());
    expect(readdirSync(folder).filter((name) => !name.startsWith('..'))).toEqual([]);
  });

  it('gives each file its mode, and lets the group of the volume read', async () => {
    await writeAtomically(folder, filesOf({ a: '1' }, 0o600));
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o600);
    await writeAtomically(folder, filesOf({ a: '1' }, 0o600), process.getgid?.());
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o640);
  });

  it('never shows a mixture, whenever one looks', async () => {
    const texts = (turn: number): VolumeFiles => filesOf({ a: `${turn}`, 'b/c': `${turn}` });
    await writeAtomically(folder, texts(0));
    const written = new AbortController();
    const seen = new Set<string>();
    const look = async (): Promise<void> => {
      while (!written.signal.aborted) {
        seen.add(pairIn(readlinkSync(join(folder, '..data'))));
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const looking = look();
    for (let turn = 1; turn <= 50; turn += 1) await writeAtomically(folder, texts(turn));
    written.abort();
    await looking;
    seen.delete(GONE);
    expect([...seen].filter((pair) => !/^(\d+) \1$/.test(pair))).toEqual([]);
    expect(seen.size).toBeGreaterThan(1);
  });

  it('is mended after a kubelet that was killed while it wrote', async () => {
    await writeAtomically(folder, filesOf({ a: '1' }));
    mkdirSync(join(folder, '..2026_half_written'));
    symlinkSync('..2026_half_written', join(folder, '..data_tmp'));
    rmSync(join(folder, 'a'));
    await writeAtomically(folder, filesOf({ a: '1' }));
    expect(read('a')).toBe('1');
    expect(readdirSync(folder).length).toBe(3);
  });
});
