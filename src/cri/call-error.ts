import { type ErrorCode, ExecPathError, errorTable, toError } from '../common/errors.ts';
import { grpcCodeName, grpcCodes } from '../grpc/index.ts';

export interface RuntimeCallErrorOptions {
  readonly cause?: unknown;
  /** The RPC that failed, such as `StartContainer`; undefined on the side that answers. */
  readonly rpc?: string | undefined;
  /** True when this side's caller cancelled: no fault of the runtime, ERR_ABORTED. */
  readonly aborted?: boolean;
}

const codeRows = new Map<number, ErrorCode>([
  [grpcCodes.InvalidArgument, 'ERR_CRI_INVALID_ARGUMENT'],
  [grpcCodes.DeadlineExceeded, 'ERR_CRI_DEADLINE'],
  [grpcCodes.NotFound, 'ERR_CRI_NOT_FOUND'],
  [grpcCodes.ResourceExhausted, 'ERR_CRI_EXHAUSTED'],
  [grpcCodes.Unimplemented, 'ERR_CRI_UNIMPLEMENTED'],
  [grpcCodes.Unavailable, 'ERR_CRI_UNAVAILABLE'],
]);

/**
 * A CRI call failed, or is to fail: a runtime's handler throws it to answer with this code.
 *
 * `message` has Go's form, `rpc error: code = NotFound desc = …`, because the kubelet passes it on to people and
 * programs that know it so.
 */
export class RuntimeCallError extends ExecPathError {
  /** A number of `grpcCodes`, or what else the runtime sent. */
  readonly grpcCode: number;
  /** The runtime's own words, without the frame. */
  readonly description: string;
  readonly rpc: string | undefined;

  constructor(grpcCode: number, description: string, options: RuntimeCallErrorOptions = {}) {
    const { cause, aborted = false } = options;
    super(
      aborted ? 'ERR_ABORTED' : (codeRows.get(grpcCode) ?? 'ERR_CRI_CALL'),
      `rpc error: code = ${grpcCodeName(grpcCode)} desc = ${description}`,
      aborted ? { cause } : { cause, hop: 'runtime' },
    );
    this.grpcCode = grpcCode;
    this.description = description;
    this.rpc = options.rpc;
  }
}

const rowCodes = new Map<ErrorCode, number>([
  ...[...codeRows].map(([code, row]): [ErrorCode, number] => [row, code]),
  ['ERR_ABORTED', grpcCodes.Canceled],
]);

const httpCodes = new Map<number, number>([
  [400, grpcCodes.InvalidArgument],
  [401, grpcCodes.Unauthenticated],
  [403, grpcCodes.PermissionDenied],
  [404, grpcCodes.NotFound],
  [409, grpcCodes.AlreadyExists],
  [429, grpcCodes.ResourceExhausted],
  [504, grpcCodes.DeadlineExceeded],
]);

/** A description travels percent-encoded in one trailer; real ones are a line or two. Longer ones are cut. */
const MAX_DESCRIPTION_CHARS = 4096;

/**
 * The gRPC status for anything that a handler throws: a RuntimeCallError as it stands, another ExecPathError by the
 * HTTP code of its row (500 is Unknown), anything else Unknown with its message.
 */
export function grpcStatusOf(thrown: unknown): { readonly code: number; readonly details: string } {
  const error = toError(thrown);
  if (error instanceof RuntimeCallError) return { code: error.grpcCode, details: travelling(error.description) };
  const known = error instanceof ExecPathError ? codeOfRow(error.code) : undefined;
  return { code: known ?? grpcCodes.Unknown, details: travelling(error.message) };
}

function codeOfRow(row: ErrorCode): number | undefined {
  return rowCodes.get(row) ?? httpCodes.get(errorTable[row].http);
}

/** Half a surrogate pair cannot be percent-encoded: it becomes U+FFFD. */
function travelling(text: string): string {
  const whole = Buffer.from(text.slice(0, MAX_DESCRIPTION_CHARS)).toString();
  return text.length > MAX_DESCRIPTION_CHARS ? `${whole}…` : whole;
}
