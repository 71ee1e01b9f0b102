import type { Paint } from './colours.ts';
import type { CommandWords, FlagGroup } from './command.ts';
import type { Flag, Flags } from './flag.ts';

/** Columns of a help text. */
const WIDTH = 100;
/** Where the words for a flag begin. */
const INDENT = 34;

/** `podwire COMMAND --help`. */
export function commandHelp(command: CommandWords, common: Flags, paint: Paint): string {
  const title = (text: string): string => paint('bold', text);
  const groups: FlagGroup[] = [...command.groups, { title: 'Common', flags: common }];
  const examples = command.examples.map(({ about, line }) => `  ${paint('dim', `# ${about}`)}\n  ${line}\n`);
  return [
    `${command.summary}.\n`,
    `${title('Usage:')} ${`podwire ${command.name} ${command.usage}`.trimEnd()}\n`,
    `${command.description.trim()}\n`,
    `${title('Examples:')}\n${examples.join('\n')}`,
    ...groups.map((group) => `${title(`${group.title}:`)}\n${flagLines(group.flags)}`),
  ].join('\n');
}

function flagLines(flags: Flags): string {
  return Object.entries(flags)
    .map(([name, flag]) => {
      const head = headOf(name, flag);
      const shown = flag.shownDefault === '' ? '' : ` (default: ${flag.shownDefault})`;
      const [first = '', ...more] = wrapped(flag.help + shown, WIDTH - INDENT);
      const beside = head.length < INDENT ? [head.padEnd(INDENT) + first] : [head, ' '.repeat(INDENT) + first];
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
    const lines = commands.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`);
    return `${paint('bold', `${title}:`)}\n${lines.join('\n')}\n`;
  });
  return [
    'podwire is the Kubernetes exec path, end to end: client, apiserver, kubelet, runtime.\n',
    '  client ──▶ apiserver ──▶ kubelet ──▶ runtime ──▶ process\n',
    `${paint('bold', 'Usage:')} podwire COMMAND [flags]\n`,
    ...list,
    '`podwire COMMAND --help` tells more, with examples. `podwire demo` shows all of it at work.\n',
  ].join('\n');
}
