import { ExecPathError } from '../common/errors.ts';

/**
 * A port as it stands in a header or a query: decimal digits, 1 … 65535.
 *
 * @throws ExecPathError ERR_BAD_REQUEST that quotes the text
 */
export function parsePort(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (port >= 1 && port <= 65_535) return port;
  throw new ExecPathError('ERR_BAD_REQUEST', `port ${JSON.stringify(text)} is not a number from 1 to 65535`);
}

/**
 * The ports of a query, repeated or in comma lists, in order.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for one that is no port
 */
export function parsePorts(values: readonly string[]): number[] {
  return values.flatMap((value) => value.split(',')).map(parsePort);
}
