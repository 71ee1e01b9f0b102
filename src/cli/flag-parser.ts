import { toError } from '../common/errors.ts';
import type { Flag, Flags, FlagValues } from './flag.ts';
import { UsageError } from './usage-error.ts';

/** A command line, taken apart. */
export interface ParsedLine<F extends Flags> {
  readonly values: FlagValues<F>;
  /** Names of the flags that were on the line. */
  readonly given: ReadonlySet<string>;
  /** What is no flag, in order. */
  readonly args: readonly string[];
  /** How many of `args` stood before `--`; undefined without one. */
  readonly beforeDash: number | undefined;
}

/**
 * Reads flags by the rules of Go's pflag, as kubectl does: flags and arguments in any order, `-it`, `-n ns`, `-n=ns`,
 * `-nns`, `--name=value`, `--name value`; a flag that is true by itself takes its value by `=` only; `--` ends the
 * flags; `_` in a name is `-`.
 *
 * @throws UsageError in kubectl's words
 * @see docs/adr/0003-flag-parser.md
 */
export function parseFlags<F extends Flags>(flags: F, argv: readonly string[]): ParsedLine<F> {
  const line = new Line(flags, argv);
  return line.parse() as ParsedLine<F>;
}

class Line {
  readonly #flags: Flags;
  readonly #words: string[];
  readonly #values = new Map<string, unknown>();
  readonly #args: string[] = [];

  constructor(flags: Flags, argv: readonly string[]) {
    this.#flags = flags;
    this.#words = [...argv];
  }

  parse(): ParsedLine<Flags> {
    let beforeDash: number | undefined;
    for (let word = this.#words.shift(); word !== undefined; word = this.#words.shift()) {
      if (word === '--') {
        beforeDash = this.#args.length;
        this.#args.push(...this.#words.splice(0));
      } else if (word.startsWith('--')) this.#long(word);
      else if (word.startsWith('-') && word !== '-') this.#shorts(word.slice(1));
      else this.#args.push(word);
    }
    const initial = Object.entries(this.#flags).map(([name, flag]) => [name, flag.initial] as const);
    return {
      values: { ...Object.fromEntries(initial), ...Object.fromEntries(this.#values) },
      given: new Set(this.#values.keys()),
      args: this.#args,
      beforeDash,
    };
  }

  #long(word: string): void {
    const [, written = '', text] = /^--([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (written === '' || written.startsWith('-')) throw new UsageError(`bad flag syntax: ${word}`);
    const name = written.replaceAll('_', '-');
    const flag = Object.hasOwn(this.#flags, name) ? this.#flags[name] : undefined;
    if (flag === undefined) throw new UsageError(`unknown flag: --${written}`);
    this.#set(name, flag, text ?? flag.implied ?? this.#next(`--${written}`));
  }

  /** `letters` may be several flags, and end in the value of the last one. */
  #shorts(letters: string): void {
    for (let rest = letters; rest !== ''; ) {
      const letter = rest.charAt(0);
      const [name, flag] = Object.entries(this.#flags).find(([, { short }]) => short === letter) ?? [];
      if (name === undefined || flag === undefined) {
        throw new UsageError(`unknown shorthand flag: '${letter}' in -${rest}`);
      }
      const after = rest.slice(1);
      if (after.length > 1 && after.startsWith('=')) {
        this.#set(name, flag, after.slice(1));
        return;
      }
      if (flag.implied === undefined) {
        this.#set(name, flag, after === '' ? this.#next(`'${letter}' in -${letters}`) : after);
        return;
      }
      this.#set(name, flag, flag.implied);
      rest = after;
    }
  }

  #next(flag: string): string {
    const value = this.#words.shift();
    if (value === undefined) throw new UsageError(`flag needs an argument: ${flag}`);
    return value;
  }

  #set(name: string, flag: Flag<unknown>, text: string): void {
    try {
      this.#values.set(name, flag.read(text, this.#values.get(name)));
    } catch (thrown) {
      if (thrown instanceof UsageError) throw thrown;
      const shown = flag.short === undefined ? `--${name}` : `-${flag.short}, --${name}`;
      const why = toError(thrown).message;
      throw new UsageError(`invalid argument ${JSON.stringify(text)} for "${shown}" flag: ${why}`);
    }
  }
}
