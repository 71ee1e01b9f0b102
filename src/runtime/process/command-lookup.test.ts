import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookUpCommand, resolveInside } from './command-lookup.ts';

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'podwire-lookup-'));
  mkdirSync(join(root, 'bin/dir'), { recursive: true });
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  writeFileSync(join(root, 'bin/plain'), '', { mode: 0o644 });
  for (const name of ['bin/tool', 'usr/bin/tool', 'usr/bin/plain', 'bin/mine']) writeFileSync(join(root, name), '');
  for (const name of ['bin/tool', 'usr/bin/tool', 'usr/bin/plain']) chmodSync(join(root, name), 0o755);
  chmodSync(join(root, 'bin/mine'), 0o700);
  symlinkSync('/usr/bin/tool', join(root, 'bin/absolute'));
  symlinkSync('../../../../../../usr/bin/tool', join(root, 'bin/upwards'));
  symlinkSync('loop', join(root, 'bin/loop'));
});

afterAll(() => rmSync(root, { recursive: true }));

const lookUp = (name: string, more: object = {}): string =>
  lookUpCommand(name, { path: '/bin:/usr/bin', cwd: '/', root, ...more });

describe('looking up a command', () => {
  it('takes the first executable file in PATH and passes over what may not be run', () => {
    expect(lookUp('tool')).toBe('/bin/tool');
    expect(lookUp('plain')).toBe('/usr/bin/plain');
    expect(lookUp('tool', { path: '/nope:/usr/bin' })).toBe('/usr/bin/tool');
  });

  it('takes an empty element of PATH, and a name with a slash, from the working directory', () => {
    expect(lookUp('tool', { path: ':/nope', cwd: '/usr/bin' })).toBe('/usr/bin/tool');
    expect(lookUp('./tool', { cwd: '/usr/bin' })).toBe('/usr/bin/tool');
    expect(lookUp('bin/tool', { cwd: '/usr' })).toBe('/usr/bin/tool');
  });

  it.each([
    ['nope', 'ERR_COMMAND_NOT_FOUND', 'exec: "nope": executable file not found in $PATH'],
    ['dir', 'ERR_COMMAND_NOT_FOUND', 'exec: "dir": executable file not found in $PATH'],
    ['', 'ERR_COMMAND_NOT_FOUND', 'exec: "": executable file not found in $PATH'],
    ['/bin/nope', 'ERR_COMMAND_NOT_FOUND', 'exec: "/bin/nope": stat /bin/nope: no such file or directory'],
    ['/bin/tool/x', 'ERR_COMMAND_NOT_FOUND', 'exec: "/bin/tool/x": stat /bin/tool/x: not a directory'],
    ['/bin/dir', 'ERR_COMMAND_NOT_EXECUTABLE', 'exec: "/bin/dir": is a directory'],
    ['/bin/plain', 'ERR_COMMAND_NOT_EXECUTABLE', 'exec: "/bin/plain": permission denied'],
  ])('says of %j why it cannot run', (name, code, message) => {
    const exitCode = code === 'ERR_COMMAND_NOT_FOUND' ? 127 : 126;
    expect(() => lookUp(name)).toThrow(expect.objectContaining({ code, message, exitCode }) as Error);
  });

  it('asks whether the user may run it, not whether we may', () => {
    expect(lookUp('/bin/mine')).toBe('/bin/mine');
    const owner = { uid: process.getuid!(), gid: 12_345 };
    expect(lookUp('/bin/mine', { user: owner })).toBe('/bin/mine');
    expect(() => lookUp('/bin/mine', { user: { uid: 12_345, gid: 12_345 } })).toThrow('permission denied');
    chmodSync(join(root, 'bin/mine'), 0o710);
    const gid = process.getgid!();
    expect(lookUp('/bin/mine', { user: { uid: 12_345, gid } })).toBe('/bin/mine');
    expect(lookUp('/bin/mine', { user: { uid: 12_345, gid: 12_345, groups: [gid] } })).toBe('/bin/mine');
  });

  it('never leaves the root, neither by absolute links nor by dots', () => {
    expect(resolveInside(root, '/bin/absolute')).toBe(join(root, 'usr/bin/tool'));
    expect(resolveInside(root, '/bin/upwards')).toBe(join(root, 'usr/bin/tool'));
    expect(resolveInside(root, '/../../bin/tool')).toBe(join(root, 'bin/tool'));
    expect(lookUp('absolute')).toBe('/bin/absolute');
    expect(() => lookUp('/bin/loop')).toThrow('more than 40 symbolic links');
  });
});
