import type { ArgumentRequest } from './command.ts';
import { commandIndex, earlyFlags } from './command-index.ts';
import { commandEntries, findCommand } from './commands.ts';
import { directives } from './completion-script.ts';
import type { Flag, Flags } from './flag.ts';
import { parseFlags } from './flag-parser.ts';
import type { Io } from './io.ts';

/** Longest time that a shell is kept waiting for candidates. */
const COMPLETE_TIMEOUT_MS = 4000;

interface Candidates {
  readonly words: readonly string[];
  readonly directive: number;
}

const nothing: Candidates = { words: [], directive: directives.noFiles };

/**
 * `podwire __complete WORD… LAST`: what can stand in place of LAST, one per line, with a description behind a tab;
 * then the line `:N` with {@link directives}. Never fails: without a cluster there are no names.
 *
 * @param words the words behind `podwire`; the last one is what has been typed of it so far
 */
export async function completeWords(words: readonly string[], io: Io, describe = true): Promise<number> {
  const candidates = await candidatesFor(words.slice(0, -1), words.at(-1) ?? '', io).catch(() => nothing);
  for (const word of candidates.words) io.out.write(`${describe ? word : word.split('\t')[0]}\n`);
  io.out.write(`:${candidates.directive}\n`);
  return 0;
}

async function candidatesFor(before: readonly string[], word: string, io: Io): Promise<Candidates> {
  // Behind -- stands somebody else's command line.
  if (before.includes('--')) return { words: [], directive: 0 };
  const at = commandIndex(before);
  const name = before[at];
  const rest = before.filter((_word, index) => index !== at);
  const command = name === undefined || name === 'help' ? undefined : await findCommand(name)?.load();
  if (command === undefined && name !== undefined && name !== 'help') return nothing;
  const flags = command?.flags ?? earlyFlags;
  const [, flagPart, valuePart] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
  if (flagPart !== undefined && valuePart !== undefined) {
    const values = await valuesOf(longFlag(flags, flagPart), request(flags, rest, valuePart, io));
    return { ...values, words: values.words.map((value) => `${flagPart}=${value}`) };
  }
  const waiting = waitingFlag(flags, rest.at(-1));
  if (waiting !== undefined) return valuesOf(waiting, request(flags, rest.slice(0, -1), word, io));
  if (word.startsWith('-')) return matching(flagWords(flags), word);
  const asked = request(flags, rest, word, io);
  if (command === undefined) return asked.line.args.length > 0 ? nothing : matching(commandWords(), word);
  const suggestions = await limited(command.suggest(asked));
  return suggestions === 'files' ? { words: [], directive: 0 } : matching(suggestions, word);
}

function request(flags: Flags, words: readonly string[], word: string, io: Io): ArgumentRequest {
  return { line: parseFlags(flags, words), word, io };
}

function commandWords(): string[] {
  return commandEntries.map(({ name, summary }) => `${name}\t${summary}`);
}

function flagWords(flags: Flags): string[] {
  return Object.entries(flags).map(([name, { help }]) => `--${name}\t${help}`);
}

function longFlag(flags: Flags, word: string): Flag<unknown> | undefined {
  const name = word.slice(2);
  return Object.hasOwn(flags, name) ? flags[name] : undefined;
}

/** The flag whose value comes next, when `last` is one that has none yet. */
function waitingFlag(flags: Flags, last: string | undefined): Flag<unknown> | undefined {
  if (last === undefined || !last.startsWith('-') || last.includes('=')) return undefined;
  const flag = last.startsWith('--')
    ? longFlag(flags, last)
    : Object.values(flags).find(({ short }) => short === last.at(-1));
  return flag?.implied === undefined ? flag : undefined;
}

async function valuesOf(flag: Flag<unknown> | undefined, asked: ArgumentRequest): Promise<Candidates> {
  const source = flag?.source;
  if (source === undefined) return nothing;
  if (typeof source === 'object')
    return matching(
      source.filter((choice) => choice !== ''),
      asked.word,
    );
  if (source === 'file') return { words: [], directive: 0 };
  if (source === 'folder') return { words: [], directive: directives.folders };
  const suggest = await import('./suggest-objects.ts');
  switch (source) {
    case 'namespace':
      return matching(await limited(suggest.suggestNamespaces(asked)), asked.word);
    case 'container':
      return matching(await limited(suggest.suggestContainers(asked)), asked.word);
    case 'context':
      return matching(await suggest.suggestContexts(asked), asked.word);
  }
}

function matching(words: readonly string[], word: string): Candidates {
  return { words: words.filter((candidate) => candidate.startsWith(word)), directive: directives.noFiles };
}

/** No names at all when they do not come in time. */
async function limited<Words>(words: Promise<Words>): Promise<Words | readonly string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly string[]>((resolve) => {
    timer = setTimeout(() => resolve([]), COMPLETE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([words, late]);
  } finally {
    clearTimeout(timer);
  }
}
