import type { Table } from './table.ts';

/** One figure of design.md section 8, measured beside its peer. */
export interface Bench {
  /** As on the command line. */
  readonly name: string;
  readonly about: string;
  /** Sizes, counts and seeds with their defaults, changed by `--name value`. */
  readonly flags: Readonly<Record<string, number>>;
  /** Owns what it starts: nothing runs on after it. */
  run(flags: BenchFlags, report: Report): Promise<void>;
}

export interface Report {
  /** What it is doing, for those who wait. */
  readonly say: (text: string) => void;
  /** A table as soon as it is whole. */
  readonly show: (table: Table) => void;
}

/** The values of a bench's flags. */
export class BenchFlags {
  readonly #values: ReadonlyMap<string, number>;

  constructor(values: ReadonlyMap<string, number>) {
    this.#values = values;
  }

  /** @throws Error for a flag that the bench does not declare */
  get(name: string): number {
    const value = this.#values.get(name);
    if (value === undefined) throw new Error(`the bench declares no flag --${name}`);
    return value;
  }

  /**
   * @param args `--name value` or `--name=value`, in any order
   * @throws Error for an unknown name or a value that is no number of 0 or more
   */
  static parse(declared: Readonly<Record<string, number>>, args: readonly string[]): BenchFlags {
    const values = new Map(Object.entries(declared));
    const words = args.flatMap((word) => (word.startsWith('--') ? word.split(/=(.*)/s, 2) : [word]));
    for (let index = 0; index < words.length; index += 2) {
      const name = (words[index] ?? '').replace(/^--/, '');
      const value = Number(words[index + 1]);
      const known = [...values.keys()].map((flag) => `--${flag}`).join(', ');
      if (!values.has(name)) throw new Error(`unknown flag ${JSON.stringify(words[index])}, there are ${known}`);
      if (!(value >= 0)) throw new Error(`--${name} takes a number, not ${JSON.stringify(words[index + 1])}`);
      values.set(name, value);
    }
    return new BenchFlags(values);
  }
}
