import { badRequest } from './api-error.ts';
import { int64Of, isInteger } from './int64.ts';

/**
 * A number of a query, such as `limit`; undefined where there is none.
 *
 * @throws ApiError ERR_BAD_REQUEST in upstream's words, which are Go's
 */
export function queryInteger(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const value = int64Of(text);
  if (value !== undefined) return Number(value);
  const why = isInteger(text) ? 'value out of range' : 'invalid syntax';
  throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: ${why}`);
}
