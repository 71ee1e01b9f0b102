import { type ErrorCode, ExecPathError, type ExecPathErrorOptions } from '../common/errors.ts';
import type { Status } from '../common/status.ts';

const codes: Readonly<Record<number, ErrorCode>> = {
  400: 'ERR_BAD_REQUEST',
  401: 'ERR_UNAUTHORIZED',
  403: 'ERR_FORBIDDEN',
  404: 'ERR_NOT_FOUND',
};

/** The API refused a request; `status` says why, and `message` is its message. */
export class ApiStatusError extends ExecPathError {
  readonly status: Status;
  /** 400 … 599; for an ERROR event of a watch the Status's own code. */
  readonly httpStatus: number;

  constructor(status: Status, httpStatus: number, options: ExecPathErrorOptions = {}) {
    super(codes[httpStatus] ?? 'ERR_API_STATUS', status.message ?? `the API answered ${httpStatus}`, options);
    this.status = status;
    this.httpStatus = httpStatus;
  }

  /** The same refusal in other words. */
  saying(message: string): ApiStatusError {
    const hop = this.hop === undefined ? {} : { hop: this.hop };
    return new ApiStatusError({ ...this.status, message }, this.httpStatus, { cause: this, ...hop });
  }

  /** `NotFound`, `AlreadyExists`, `Conflict`, `Expired` … */
  get reason(): string | undefined {
    return this.status.reason;
  }
}

/** True for the API's word that something is not there: the object, its namespace or its type. */
export function isNotFound(thrown: unknown): thrown is ApiStatusError {
  return thrown instanceof ApiStatusError && thrown.httpStatus === 404;
}

/** Characters of a body that is no Status which are quoted in the message. */
const MAX_QUOTED_CHARS = 1024;

/** The error of an answer outside 2xx: its Status, or one made of whatever the body says. */
export function apiErrorOf(
  answer: { readonly request: string; readonly httpStatus: number; readonly body: string },
  options: ExecPathErrorOptions,
): ApiStatusError {
  const { request, httpStatus, body } = answer;
  const status = readStatus(body);
  if (status !== undefined) return new ApiStatusError(status, httpStatus, options);
  const text = body.trim().slice(0, MAX_QUOTED_CHARS);
  const message = `${request} was answered with HTTP ${httpStatus}${text === '' ? '' : `: ${text}`}`;
  return new ApiStatusError({ status: 'Failure', message, code: httpStatus }, httpStatus, options);
}

function readStatus(body: string): Status | undefined {
  try {
    const value = JSON.parse(body) as Partial<Status> | null;
    return value?.kind === 'Status' ? { ...value, status: 'Failure' } : undefined;
  } catch {
    return undefined;
  }
}
