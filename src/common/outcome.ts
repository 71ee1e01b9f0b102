import type { ErrorCode, ExecPathError, Hop } from './errors.ts';

/**
 * How a session ended. There is exactly one, and only a Status that arrived makes it `exited`: a connection that
 * merely stopped is `failed` with ERR_NO_STATUS or ERR_CONNECTION_LOST.
 */
export type Outcome =
  | {
      readonly kind: 'exited';
      /** 0 … 255 */
      readonly code: number;
    }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      /** Where it failed, as far as this side can tell. */
      readonly hop: Hop | undefined;
      readonly error: ExecPathError;
    };

/** The outcome of a session that ended with `code`. */
export function exited(code: number): Outcome {
  return { kind: 'exited', code };
}

/** The outcome of a session that `error` ended. */
export function failed(error: ExecPathError, hop: Hop | undefined = error.hop): Outcome {
  return { kind: 'failed', code: error.code, message: error.message, hop, error };
}
