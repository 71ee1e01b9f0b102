import { CommandExitError, ExecPathError, errorTable, ProtocolError, toError } from './errors.ts';
import { exited, failed, type Outcome } from './outcome.ts';

export interface StatusCause {
  /** The cause's type; `ExitCode` for the exit code of a command. */
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

/** metav1.Status: every error answer of the API, and the last word on the error stream of v4 and v5. */
export interface Status {
  readonly kind?: 'Status';
  readonly apiVersion?: 'v1';
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: {
    readonly name?: string;
    readonly group?: string;
    readonly kind?: string;
    readonly uid?: string;
    readonly causes?: readonly StatusCause[];
    readonly retryAfterSeconds?: number;
  };
  readonly code?: number;
}

/** What the error stream carries for `outcome`, keys in Go's order. */
export function statusOfOutcome(outcome: Outcome): Status {
  if (outcome.kind === 'failed') return inBandFailure(outcome.message);
  if (outcome.code === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: command terminated with exit code ${outcome.code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(outcome.code) }] },
  };
}

const INTERNAL_ERROR_PREFIX = 'Internal error occurred: ';

/** Upstream wraps a text that begins with the prefix once more; we do not. */
function inBandFailure(message: string): Status {
  const text = message.startsWith(INTERNAL_ERROR_PREFIX) ? message : INTERNAL_ERROR_PREFIX + message;
  return {
    metadata: {},
    status: 'Failure',
    message: text,
    reason: 'InternalError',
    details: { causes: [{ message: text.slice(INTERNAL_ERROR_PREFIX.length) }] },
    code: 500,
  };
}

/**
 * Decides a v4 or v5 session from all bytes of its error stream.
 *
 * No bytes at all are upstream's success; here they are ERR_NO_STATUS, for a lost connection looks the same.
 *
 * @see client-go tools/remotecommand/v4.go (wire.md 2.5)
 */
export function outcomeOfErrorStream(bytes: Uint8Array): Outcome {
  const text = new TextDecoder().decode(bytes);
  if (bytes.length === 0) {
    return failed(new ExecPathError('ERR_NO_STATUS', 'the session ended without a Status: its exit code is unknown'));
  }
  let status: Record<string, unknown>;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('not an object');
    status = foldKeys(value);
  } catch (cause) {
    return malformed(`${toError(cause).message} in ${JSON.stringify(text.slice(0, 1024))}`, cause);
  }
  if (status['status'] === 'Success') return exited(0);
  if (status['status'] !== 'Failure') return malformed('unknown error');
  if (status['reason'] === 'NonZeroExitCode') return exitCodeOutcome(status['details']);
  return failed(new ExecPathError('ERR_REMOTE', textOf(status['message'])));
}

function exitCodeOutcome(details: unknown): Outcome {
  if (typeof details !== 'object' || details === null) return malformed('details must be set');
  const causes = foldKeys(details)['causes'];
  for (const entry of Array.isArray(causes) ? (causes as unknown[]) : []) {
    if (typeof entry !== 'object' || entry === null) continue;
    const cause = foldKeys(entry);
    if (cause['reason'] !== 'ExitCode') continue;
    const text = textOf(cause['message']);
    const code = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    return code <= 255 ? exited(code) : malformed(`invalid exit code value ${JSON.stringify(text)}`);
  }
  return malformed('no ExitCode cause given');
}

function malformed(what: string, cause?: unknown): Outcome {
  return failed(new ProtocolError('ERR_STATUS_MALFORMED', `error stream protocol error: ${what}`, { cause }));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Go matches JSON keys whatever their case. */
function foldKeys(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key.toLowerCase(), field]));
}

/** The Status that an HTTP answer carries for anything thrown. A stranger to the error table is an InternalError. */
export function statusOf(thrown: unknown): Status & { readonly code: number } {
  const error = toError(thrown);
  const row = error instanceof ExecPathError ? errorTable[error.code] : errorTable.ERR_INTERNAL;
  const internal = row.reason === 'InternalError' && !error.message.startsWith(INTERNAL_ERROR_PREFIX);
  const message = internal ? INTERNAL_ERROR_PREFIX + error.message : error.message;
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason: row.reason,
    code: row.http,
  };
}

/** The inverse of {@link statusOfOutcome} for callers that want an exception: undefined for exit code 0. */
export function errorOfOutcome(outcome: Outcome): ExecPathError | undefined {
  if (outcome.kind === 'failed') return outcome.error;
  return outcome.code === 0 ? undefined : new CommandExitError(outcome.code);
}
