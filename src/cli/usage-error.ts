import { ExecPathError } from '../common/errors.ts';

/** The command line breaks a rule. Nothing has been done yet. */
export class UsageError extends ExecPathError {
  constructor(message: string) {
    super('ERR_USAGE', message, { hop: 'client' });
  }
}

/** A template that cannot be read is a wrong command line. */
export function reworded<T>(read: () => T, before: string): T {
  try {
    return read();
  } catch (thrown) {
    throw new UsageError(`${before}${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}
