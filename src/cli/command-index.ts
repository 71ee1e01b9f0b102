import { clientFlags } from './client-flags.ts';
import { commonFlags } from './common-flags.ts';
import type { Flags } from './flag.ts';

/** Flags that kubectl allows before the command's name too. */
export const earlyFlags: Flags = { ...clientFlags, ...commonFlags };

/** Where the first word stands that is neither a flag nor a flag's value. */
export function commandIndex(argv: readonly string[]): number {
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') return -1;
    if (!word.startsWith('-') || word === '-') return index;
    if (takesNext(word)) index += 1;
  }
  return -1;
}

function takesNext(word: string): boolean {
  if (word.includes('=')) return false;
  const flag = word.startsWith('--')
    ? earlyFlags[word.slice(2)]
    : Object.values(earlyFlags).find(({ short }) => short === word.at(-1) && word.length === 2);
  return flag !== undefined && flag.implied === undefined;
}
