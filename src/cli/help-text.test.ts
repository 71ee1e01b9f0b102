import { describe, expect, it } from 'vitest';
import type { Paint } from './colours.ts';
import { commandEntries, commandGroups } from './commands.ts';
import { commonFlags } from './common-flags.ts';
import { commandHelp, overviewHelp, wrappedLine } from './help-text.ts';

const plain: Paint = (_style, text) => text;

/** Lines that a terminal of 80 columns would break, but for a word that is longer by itself. */
function wideLines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.length > 80 && /\S\s+\S/.test(line.trim()));
}

describe('help fits a terminal of 80 columns', () => {
  it.each(commandEntries)('of $name', async ({ load }) => {
    expect(wideLines(commandHelp(await load(), commonFlags, plain))).toEqual([]);
  });

  it('of podwire', () => {
    expect(wideLines(overviewHelp(commandGroups, plain))).toEqual([]);
  });
});

it('breaks a command line where a shell takes it, not within quotes', () => {
  const line = `podwire get pods -o jsonpath='{range .items[*]}{.metadata.name}{"\\t"} {end}' --sort-by=.x --no-headers`;
  expect(wrappedLine(line, 80)).toEqual([
    `podwire get pods -o jsonpath='{range .items[*]}{.metadata.name}{"\\t"} {end}' \\`,
    '  --sort-by=.x --no-headers',
  ]);
  expect(wrappedLine('short -- line', 80)).toEqual(['short -- line']);
});
