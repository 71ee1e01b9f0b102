import { ExecPathError } from '../common/errors.ts';

/** The command line breaks a rule. Nothing has been done yet. */
export class UsageError extends ExecPathError {
  constructor(message: string) {
    super('ERR_USAGE', message, { hop: 'client' });
  }
}
