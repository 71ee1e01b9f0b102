import { type Flag, truthOf } from './flag.ts';
import type { Io } from './io.ts';
import { UsageError } from './usage-error.ts';

/** What follows a message about something that was not done, by the value of `--dry-run`; kubectl's words. */
export const dryRunNote = { none: '', client: ' (dry run)', server: ' (server dry run)' } as const;

const strategies = ['none', 'client', 'server'] as const;

/** What `--dry-run` says. */
export interface DryRun {
  readonly strategy: (typeof strategies)[number];
  /** Why it should be said in another way. */
  readonly warning?: string;
}

/** Stands for the flag without a value, as in kubectl. */
const UNSAID = 'unchanged';

/** `--dry-run=none|client|server`; as kubectl's, it may still stand alone and be true or false, with a warning. */
export function dryRunFlag(help: string): Flag<DryRun> {
  return {
    help,
    value: strategies.join('|'),
    initial: { strategy: 'none' },
    shownDefault: 'none',
    implied: UNSAID,
    source: strategies,
    read: (text) => {
      const strategy = strategies.find((one) => one === text);
      if (strategy !== undefined) return { strategy };
      if (text === UNSAID) return deprecated('--dry-run is deprecated', 'client');
      const truth = truthOf(text);
      if (truth !== undefined) {
        return deprecated(`--dry-run=${text} is deprecated (boolean value)`, truth ? 'client' : 'none');
      }
      throw new UsageError(`Invalid dry-run value (${text}). Must be "none", "server", or "client".`);
    },
  };
}

/** Says to people how it should be said. */
export function warnOfDryRun({ warning }: DryRun, io: Pick<Io, 'err'>): void {
  if (warning !== undefined) io.err.write(`Warning: ${warning}\n`);
}

function deprecated(what: string, strategy: DryRun['strategy']): DryRun {
  return { strategy, warning: `${what} and can be replaced with --dry-run=${strategy}.` };
}
