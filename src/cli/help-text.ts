import type { Paint } from './colours.ts';
import type { CommandWords, FlagGroup } from './command.ts';
import type { Flag, Flags } from './flag.ts';

/** Columns of a help text: as many as a terminal has that nobody has made wider. */
const WIDTH = 80;
/** Where the words for a flag begin. */
const INDENT = 32;
/** Where the words for a command begin in the list of all. */
const COMMAND_INDENT = 14;

/** `podwire COMMAND --help`. */
export function commandHelp(command: CommandWords, common: Flags, paint: Paint): string {
  const title = (text: string): string => paint('bold', text);
  const groups: FlagGroup[] = [...command.groups, { title: 'Common', flags: common }];
  const examples = command.examples.map(({ about, line }) => {
    const comment = wrapped(about, WIDTH - 4).map((text) => `  ${paint('dim', `# ${text}`)}\n`);
    const lines = wrappedLine(line, WIDTH - 2).map((text) => `  ${text}\n`);
    return [...comment, ...lines].join('');
  });
  const usage = wrapped(`podwire ${command.name} ${command.usage}`.trimEnd(), WIDTH - 'Usage: '.length);
  return [
    `${wrapped(`${command.summary}.`, WIDTH).join('\n')}\n`,
    `${title('Usage:')} ${usage.join(`\n${' '.repeat('Usage: '.length)}`)}\n`,
    `${paragraphs(command.description)}\n`,
    `${title('Examples:')}\n${examples.join('\n')}`,
    ...groups.map((group) => `${title(`${group.title}:`)}\n${flagLines(group.flags)}`),
  ].join('\n');
}

/** Each paragraph anew, however its lines were cut. */
function paragraphs(text: string): string {
  return text
    .trim()
    .split(/\n{2,}/)
    .map((one) => wrapped(one.replaceAll('\n', ' '), WIDTH).join('\n'))
    .join('\n\n');
}

/** A command line in lines that a shell takes as one: broken between its words, and never within quotes. */
export function wrappedLine(line: string, width: number): string[] {
  const words = line.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  const lines = [''];
  for (const [at, word] of words.entries()) {
    const last = lines.at(-1) ?? '';
    const isEnd = at === words.length - 1;
    if (last.trim() === '') lines[lines.length - 1] = last + word;
    else if (last.length + 1 + word.length <= (isEnd ? width : width - 2)) lines[lines.length - 1] = `${last} ${word}`;
    else {
      lines[lines.length - 1] = `${last} \\`;
      lines.push(`  ${word}`);
    }
  }
  return lines;
}

function flagLines(flags: Flags): string {
  return Object.entries(flags)
    .map(([name, flag]) => {
      const head = headOf(name, flag);
      const shown = flag.shownDefault === '' ? '' : ` (default: ${flag.shownDefault})`;
      const [first = '', ...more] = wrapped(flag.help + shown, WIDTH - INDENT);
      const beside = head.length < INDENT - 1 ? [head.padEnd(INDENT) + first] : [head, ' '.repeat(INDENT) + first];
      return [...beside, ...more.map((line) => ' '.repeat(INDENT) + line)].join('\n');
    })
    .join('\n')
    .concat('\n');
}

function headOf(name: string, flag: Flag<unknown>): string {
  const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
  return `  ${short}--${name}${flag.value === '' ? '' : ` ${flag.value}`}`;
}

function wrapped(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last === '') lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** `podwire --help`. */
export function overviewHelp(
  groups: readonly {
    readonly title: string;
    readonly commands: readonly { readonly name: string; readonly summary: string }[];
  }[],
  paint: Paint,
): string {
  const list = groups.map(({ title, commands }) => {
    const lines = commands.map(({ name, summary }) => {
      const head = `  ${name}`.padEnd(COMMAND_INDENT);
      return head + wrapped(summary, WIDTH - COMMAND_INDENT).join(`\n${' '.repeat(COMMAND_INDENT)}`);
    });
    return `${paint('bold', `${title}:`)}\n${lines.join('\n')}\n`;
  });
  return [
    `${paragraphs('podwire is the Kubernetes exec path, end to end: client, apiserver, kubelet, runtime.')}\n`,
    '  client ──▶ apiserver ──▶ kubelet ──▶ runtime ──▶ process\n',
    `${paint('bold', 'Usage:')} podwire COMMAND [flags]\n`,
    ...list,
    `${paragraphs('`podwire COMMAND --help` tells more, with examples. `podwire demo` shows all of it at work.')}\n`,
  ].join('\n');
}
