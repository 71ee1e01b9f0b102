import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveSubPath } from './sub-path.ts';

let folder: string;
let volume: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-sub-path-'));
  volume = join(folder, 'volume');
  mkdirSync(join(volume, 'a/b'), { recursive: true });
  mkdirSync(join(folder, 'outside'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a subPath', () => {
  it('is a folder or file of the volume; folders that are missing are made, for their owner and group', () => {
    writeFileSync(join(volume, 'a/file'), '');
    expect(resolveSubPath(volume, 'a/b')).toBe(join(volume, 'a/b'));
    expect(resolveSubPath(volume, './a//file')).toBe(join(volume, 'a/file'));
    expect(resolveSubPath(volume, '.')).toBe(volume);
    expect(resolveSubPath(volume, 'new/er')).toBe(join(volume, 'new/er'));
    expect(statSync(join(volume, 'new/er')).mode & 0o007).toBe(0);
  });

  it('follows links inside the volume, so that none is left in what the runtime gets', () => {
    symlinkSync('a', join(volume, 'link'));
    symlinkSync('../link/b', join(volume, 'a/up'));
    expect(resolveSubPath(volume, 'link/up')).toBe(join(volume, 'a/b'));
  });

  it.each([
    ['absolute', '/etc'],
    ['relative', '../outside'],
    ['relative through a folder', 'a/../../outside'],
  ])('never follows a link to outside that a container made: %s', (_kind, target) => {
    symlinkSync(target, join(volume, 'evil'));
    symlinkSync('evil', join(volume, 'innocent'));
    for (const subPath of ['evil', 'evil/made', 'innocent', 'innocent/made']) {
      expect(() => resolveSubPath(volume, subPath)).toThrow(/leaves its volume/);
    }
    expect(readdirSync(join(folder, 'outside'))).toEqual([]);
  });

  it('ends in a loop of links with an error, and goes through no file', () => {
    symlinkSync('two', join(volume, 'one'));
    symlinkSync('one', join(volume, 'two'));
    writeFileSync(join(volume, 'file'), '');
    expect(() => resolveSubPath(volume, 'one')).toThrow('symbolic links');
    expect(() => resolveSubPath(volume, 'file/below')).toThrow('ENOTDIR');
  });
});
