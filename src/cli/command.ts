import { commonFlags } from './common-flags.ts';
import type { Flags } from './flag.ts';
import { type ParsedLine, parseFlags } from './flag-parser.ts';
import type { Io } from './io.ts';

export interface FlagGroup {
  readonly title: string;
  readonly flags: Flags;
}

export interface Example {
  readonly about: string;
  readonly line: string;
}

/** What help says of a command. */
export interface CommandWords {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What follows `podwire NAME`, in one line. */
  readonly usage: string;
  /** A paragraph or two; help cuts their lines anew. */
  readonly description: string;
  readonly examples: readonly Example[];
  readonly groups: readonly FlagGroup[];
  /** Exit code for a wrong command line and for failures. Default 1; 125 where other codes are the command's own. */
  readonly failureCode?: number;
}

/** What the shell's completion knows of the word that is being typed. */
export interface ArgumentRequest {
  readonly line: ParsedLine<Flags>;
  readonly word: string;
  readonly io: Io;
}

export type Suggestions = readonly string[] | 'files';

export interface CommandSpec<F extends Flags, O> extends CommandWords {
  readonly flags: F;
  /** From words and environment to options. @throws UsageError */
  complete(line: ParsedLine<F>, io: Io): O;
  /** Pure. @throws UsageError */
  validate?(options: O): void;
  /** @returns the exit code; whatever it throws is explained and becomes `failureCode` */
  run(options: O, io: Io): Promise<number>;
  /** Candidates for an argument, `word` or `word\tdescription`; `files` leaves it to the shell. */
  suggest?(request: ArgumentRequest): Promise<Suggestions>;
}

/** A command line that has been read and found right. */
export type Prepared =
  | { readonly kind: 'help' }
  | {
      readonly kind: 'run';
      /** `-v` */
      readonly verbosity: number;
      /** `--namespace`, of a command that has it. */
      readonly namespace: string | undefined;
      run(): Promise<number>;
    };

/** A command without the types of its flags and options. */
export interface Command extends CommandWords {
  /** Its own and the common ones. */
  readonly flags: Flags;
  /** complete and validate. @throws UsageError */
  prepare(argv: readonly string[], io: Io): Prepared;
  suggest(request: ArgumentRequest): Promise<Suggestions>;
}

/** Makes a command of its three steps. */
export function defineCommand<F extends Flags, O>(spec: CommandSpec<F, O>): Command {
  const flags = { ...spec.flags, ...commonFlags };
  return {
    ...spec,
    flags,
    prepare: (argv, io) => {
      const line = parseFlags(flags, argv);
      const { help, v, namespace } = line.values as { help: boolean; v?: number; namespace?: string };
      if (help) return { kind: 'help' };
      const options = spec.complete(line, io);
      spec.validate?.(options);
      return { kind: 'run', verbosity: v ?? 0, namespace, run: () => spec.run(options, io) };
    },
    suggest: async (request) => (await spec.suggest?.(request)) ?? [],
  };
}
