import { isJsonObject } from '../common/json-object.ts';
import { ApiError, badRequest } from './api-error.ts';

/** Where the next page of a list begins: all pages show one revision. */
export interface ContinuePoint {
  readonly revision: number;
  /** The last key of the page before; it lies under the prefix of the list. */
  readonly after: string;
}

/** The token as clients pass it back: opaque to them. */
export function encodeContinue({ revision, after }: ContinuePoint, prefix: string): string {
  const token = { v: 'meta.k8s.io/v1', rv: revision, start: after.slice(prefix.length) };
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

/** @throws ExecPathError ERR_BAD_REQUEST when it is none of our tokens */
export function decodeContinue(token: string, prefix: string): ContinuePoint {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    const { rv, start } = isJsonObject(value) ? value : {};
    if (Number.isSafeInteger(rv) && typeof start === 'string') return { revision: Number(rv), after: prefix + start };
  } catch (cause) {
    throw unknownToken(cause);
  }
  throw unknownToken();
}

function unknownToken(cause?: unknown): Error {
  const why = 'this server has not given it';
  return badRequest(`invalid continue token: continue key is not valid: ${why}`, cause);
}

/** The history no longer reaches back to the first page: the client has to begin again. */
export function expiredContinue(cause: unknown): Error {
  const text =
    'The provided continue parameter is too old to display a consistent list result. ' +
    'You must start a new list without the continue parameter.';
  return new ApiError('ERR_REVISION_COMPACTED', text, {}, { cause });
}
