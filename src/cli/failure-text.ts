import { type ErrorCode, ExecPathError, errorTable, type Hop, UpgradeError } from '../common/errors.ts';
import type { Status } from '../common/status.ts';
import type { Io } from './io.ts';
import { type FailureContext, remedyFor } from './remedy.ts';

export interface FailureWords extends FailureContext {
  /** The row of the error table to quote in place of the error's own. */
  readonly code?: ErrorCode | undefined;
  /** Where it failed when the error does not say. */
  readonly hop?: Hop | undefined;
  readonly sessionId?: string | undefined;
  /** In place of the code's own advice. */
  readonly remedy?: string | undefined;
  /** Nothing else failed. Default: true. */
  readonly isAlone?: boolean;
}

/**
 * What stderr says of a failure: first the line that kubectl prints, by which scripts go, then where it failed, which
 * rule was broken, what to do, and the session's id.
 */
export function failureText(thrown: unknown, words: FailureWords = {}): string {
  if (!(thrown instanceof ExecPathError)) {
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    return `error: this is a defect of podwire, please report it: ${text}\n`;
  }
  const lines = [words.isAlone === false ? introducedText(thrown) : (invalidText(thrown) ?? introducedText(thrown))];
  const hop = thrown.hop ?? words.hop;
  if (hop !== undefined) lines.push(`  where:   ${hop}`);
  const code = words.code ?? thrown.code;
  lines.push(`  rule:    ${errorTable[code].help} (${code})`);
  const remedy = words.remedy ?? remedyFor(thrown, words);
  if (remedy !== undefined) lines.push(`  remedy:  ${remedy}`);
  if (words.sessionId !== undefined) lines.push(`  session: ${words.sessionId}`);
  return `${lines.join('\n')}\n`;
}

/**
 * Tells what failed of several objects, in their order.
 *
 * @returns the exit code: 1 when anything failed
 */
export function tellFailures(failures: readonly unknown[], io: Pick<Io, 'err'>, words: FailureWords = {}): number {
  const isAlone = failures.length === 1;
  for (const failure of failures) io.err.write(failureText(failure, { ...words, isAlone }));
  return failures.length === 0 ? 0 : 1;
}

/** kubectl's words for an object that breaks rules, where it is all that failed: each rule in a line of its own. */
function invalidText(error: ExecPathError): string | undefined {
  const status: unknown = Reflect.get(error, 'status');
  const { reason, details } = (status ?? {}) as Partial<Status>;
  const { kind = '', name = '', causes = [] } = details ?? {};
  if (reason !== 'Invalid' || kind + name === '' || causes.length === 0) return undefined;
  const rules = [...new Set(causes.map(({ field = '', message = '' }) => `${field}: ${message}`))];
  const text = rules.length === 1 ? rules[0] : ['', ...rules.map((rule) => `* ${rule}`)].join('\n');
  return `The ${kind} ${JSON.stringify(name)} is invalid: ${text}`;
}

/** kubectl's words: what an apiserver says is introduced as such, all else is an `error:`. */
function introducedText(error: ExecPathError): string {
  const text = error.message === '' ? 'the server gave no reason' : error.message;
  const reason: unknown = Reflect.get(error, 'reason');
  if (error.code === 'ERR_UNAUTHORIZED' && !(error instanceof UpgradeError)) {
    return `error: You must be logged in to the server (${text})`;
  }
  return typeof reason === 'string' ? `Error from server (${reason}): ${text}` : `error: ${text}`;
}
