import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseTokens, TokenFile } from './token-file.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-tokens-'));
  path = join(folder, 'tokens.csv');
});

afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

describe('a token file', () => {
  it('has a user a line, with groups in quotes or without any', () => {
    writeFileSync(path, 't1,ann,1,"dev, ops"\r\n\nt2,bob,2\n"t,3","o""neil",,single\n');
    const file = new TokenFile(path, () => {});
    expect(file.userOf('t1')).toEqual({
      name: 'ann',
      uid: '1',
      groups: ['dev', 'ops', 'system:authenticated'],
      extra: {},
    });
    expect(file.userOf('t2')).toMatchObject({ name: 'bob', groups: ['system:authenticated'] });
    expect(file.userOf('t,3')).toMatchObject({ name: 'o"neil', uid: '', groups: ['single', 'system:authenticated'] });
    expect(file.userOf('t4')).toBeUndefined();
    expect(file.userOf('')).toBeUndefined();
  });

  it.each([
    ['t1,ann', 'line 1 has 2 columns, not token,user,uid[,"groups"]'],
    ['t1,ann,1\n,bob,2', 'line 2 has an empty token or user'],
    ['t1,,1', 'line 1 has an empty token or user'],
    ['t1,ann,1\nt1,bob,2', 'line 2 repeats the token of an earlier line'],
    ['"t1,ann,1', 'line 1 has a quote that does not end'],
  ])('is refused as %j, without quoting it', (text, why) => {
    expect(() => parseTokens(text, 'F')).toThrow(`the token file F cannot be used: ${why}`);
  });

  it('is refused when it is not there', () => {
    expect(() => new TokenFile(path, () => {})).toThrow(/tokens.csv cannot be used: ENOENT/);
  });

  it('is read again when it changes, and keeps its users when it breaks', () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    writeFileSync(path, 't1,ann,1\n');
    const problems: string[] = [];
    const file = new TokenFile(path, ({ message }) => problems.push(message));
    writeFileSync(path, 't2,robert,2\n');
    expect(file.userOf('t2')).toBeUndefined();
    vi.advanceTimersByTime(1000);
    expect(file.userOf('t2')).toMatchObject({ name: 'robert' });
    expect(file.userOf('t1')).toBeUndefined();
    writeFileSync(path, 'broken');
    vi.advanceTimersByTime(1000);
    expect(file.userOf('t2')).toMatchObject({ name: 'robert' });
    rmSync(path);
    vi.advanceTimersByTime(1000);
    expect(file.userOf('t2')).toMatchObject({ name: 'robert' });
    vi.advanceTimersByTime(1000);
    file.userOf('t2');
    expect(problems).toEqual([expect.stringContaining('line 1 has 1 columns'), expect.stringContaining('ENOENT')]);
    writeFileSync(path, 't3,carol,3\n');
    vi.advanceTimersByTime(1000);
    expect(file.userOf('t3')).toMatchObject({ name: 'carol' });
  });
});
