import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { errorTable } from '../src/common/errors.ts';

it('docs/errors.md has a row for every error: run `npm run build && node scripts/errors-page.mjs`', async () => {
  const page = await readFile(new URL('../docs/errors.md', import.meta.url), 'utf8');
  const rows = Object.entries(errorTable).map(([code, { help }]) => `| \`${code}\` | ${help} |`);
  expect(rows.filter((row) => !page.includes(row))).toEqual([]);
});
