import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HISTORY_LINES, ShellHistory } from './shell-history.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-history-'));
  file = join(folder, 'state', 'history');
});
afterEach(() => rm(folder, { recursive: true }));

it('keeps lines for the next shell, newest first, for the owner alone', async () => {
  const history = new ShellHistory(file);
  await history.add('one');
  await history.add(' a secret');
  await history.add('  ');
  await history.add('two');
  expect(await new ShellHistory(file).load()).toEqual(['two', 'one']);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, 'state'))).mode & 0o777).toBe(0o700);
});

it('has no more lines than its bound, and cuts a file that has twice as many', async () => {
  file = join(folder, 'history');
  await writeFile(file, Array.from({ length: 2 * HISTORY_LINES + 1 }, (_line, index) => `${index}\n`).join(''));
  const lines = await new ShellHistory(file).load();
  expect([lines.length, lines[0]]).toEqual([HISTORY_LINES, String(2 * HISTORY_LINES)]);
  expect((await readFile(file, 'utf8')).split('\n')).toHaveLength(HISTORY_LINES + 1);
});

it('is empty, and no failure, where nothing can be read or written', async () => {
  const history = new ShellHistory('/dev/null/history');
  await history.add('line');
  expect(await history.load()).toEqual([]);
});
