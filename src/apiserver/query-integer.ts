import { badRequest } from './api-error.ts';

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

const integer = /^[+-]?\d+$/;

/** True for what Go reads as an int64. */
export function isInt64(text: string): boolean {
  if (!integer.test(text)) return false;
  const value = BigInt(text);
  return value >= MIN && value <= MAX;
}

/**
 * A number of a query, such as `limit`; undefined where there is none.
 *
 * @throws ApiError ERR_BAD_REQUEST in upstream's words, which are Go's
 */
export function queryInteger(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (isInt64(text)) return Number(text);
  const why = integer.test(text) ? 'value out of range' : 'invalid syntax';
  throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: ${why}`);
}
