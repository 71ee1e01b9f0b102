import { parseDurationMs } from '../common/duration.ts';
import { csvFields } from './csv-fields.ts';

/** What the shell's completion offers as a value. */
export type ValueSource = 'file' | 'folder' | 'namespace' | 'container' | 'context' | readonly string[];

/** One flag of a command; its name is its key in {@link Flags}. */
export interface Flag<T> {
  /** One letter. */
  readonly short?: string;
  /** One sentence without a full stop. */
  readonly help: string;
  /** The value as help shows it, such as `NS`; '' for a flag that is true by itself. */
  readonly value: string;
  readonly initial: T;
  /** The default as help shows it; '' for none worth showing. */
  readonly shownDefault: string;
  /** What the flag means without a value; undefined when it needs one. */
  readonly implied?: string;
  readonly source?: ValueSource;
  /**
   * @param before what earlier occurrences made; undefined at the first
   * @throws Error that says in Go's words what is wrong with `text`; UsageError for all that is said of it
   */
  read(text: string, before: T | undefined): T;
}

export type Flags = Readonly<Record<string, Flag<unknown>>>;

/** The value of each flag. */
export type FlagValues<F extends Flags> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

export interface FlagWords<T> {
  readonly help: string;
  readonly short?: string;
  /** Default: none. */
  readonly value?: string;
  readonly initial?: T;
  readonly shownDefault?: string;
  readonly source?: ValueSource;
  /** Of a flag that may stand without a value. Default: it may not. */
  readonly implied?: string;
}

const truths: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((text) => [text, false] as const),
]);

/** What Go reads as true or false. @returns undefined for any other text */
export function truthOf(text: string): boolean | undefined {
  return truths.get(text);
}

/** True by itself; `--name=false` makes it false. A word behind it is not its value. */
export function boolFlag(words: FlagWords<boolean>): Flag<boolean> {
  const { initial = false } = words;
  return {
    ...words,
    value: '',
    initial,
    shownDefault: initial ? 'true' : '',
    implied: 'true',
    read: (text) => {
      const value = truthOf(text);
      if (value === undefined) throw invalid('ParseBool', text);
      return value;
    },
  };
}

/** Text; of several occurrences the last one counts. */
export function stringFlag(words: FlagWords<string>): Flag<string | undefined> {
  return {
    ...words,
    value: words.value ?? 'TEXT',
    initial: words.initial,
    shownDefault: words.shownDefault ?? words.initial ?? '',
    read: (text) => text,
  };
}

/** Several texts, by several occurrences; each may be a comma list when `split`. */
export function listFlag(words: FlagWords<readonly string[]> & { readonly split?: boolean }): Flag<readonly string[]> {
  const { split = false, ...rest } = words;
  return {
    ...rest,
    value: words.value ?? 'TEXT,…',
    initial: words.initial ?? [],
    shownDefault: words.shownDefault ?? (words.initial ?? []).join(','),
    read: (text, before) => [...(before ?? []), ...(split ? csvFields(text) : [text])],
  };
}

/** A whole number, `0x` and `0o` as Go reads them. */
export function intFlag(
  words: FlagWords<number> & { readonly min?: number; readonly max?: number },
): Flag<number | undefined> {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER, ...rest } = words;
  return {
    ...rest,
    value: words.value ?? 'N',
    initial: words.initial,
    shownDefault: words.shownDefault ?? (words.initial === undefined ? '' : String(words.initial)),
    read: (text) => {
      if (!/^[+-]?(?:\d+|0[xX][\da-fA-F]+|0[oO][0-7]+)$/.test(text)) throw invalid('ParseInt', text);
      const value = text.startsWith('-') ? -Number(text.slice(1)) : Number(text.replace('+', ''));
      if (value < min || value > max) throw new Error(`must be from ${min} to ${max}`);
      return value;
    },
  };
}

/** A Go duration such as `1m30s`; the value is in ms. With `signed` it may be less than nothing. */
export function durationFlag({
  signed = false,
  ...words
}: FlagWords<number> & { readonly signed?: boolean }): Flag<number | undefined> {
  return {
    ...words,
    value: words.value ?? 'DURATION',
    initial: words.initial,
    shownDefault: words.shownDefault ?? '',
    read: (text) => {
      try {
        const [, sign = '', amount = ''] = (signed ? /^([+-]?)(.*)$/s : /^()(.*)$/s).exec(text) ?? [];
        const ms = parseDurationMs(amount, 'value');
        return sign === '-' ? -ms : ms;
      } catch (cause) {
        throw new Error(`time: invalid duration ${JSON.stringify(text)}`, { cause });
      }
    },
  };
}

/** One of a few words. */
export function choiceFlag<const T extends string>(choices: readonly [T, ...T[]], words: FlagWords<T>): Flag<T> {
  const isChoice = (text: string): text is T => (choices as readonly string[]).includes(text);
  const initial = words.initial ?? choices[0];
  return {
    source: choices,
    ...words,
    value: words.value ?? choices.filter((choice) => choice !== '').join('|'),
    initial,
    shownDefault: words.shownDefault ?? initial,
    read: (text) => {
      if (!isChoice(text)) throw new Error(`must be one of ${choices.filter((choice) => choice !== '').join(', ')}`);
      return text;
    },
  };
}

function invalid(what: string, text: string): Error {
  return new Error(`strconv.${what}: parsing ${JSON.stringify(text)}: invalid syntax`);
}
