import { ExecPathError } from './errors.ts';

const unitMs: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Reads a Go duration such as `4h0m0s`, `1.5s` or `300ms`; a bare `0` too.
 *
 * @returns milliseconds
 * @throws ExecPathError ERR_BAD_REQUEST naming `what`
 */
export function parseDurationMs(text: string, what: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text) {
    throw new ExecPathError(
      'ERR_BAD_REQUEST',
      `${what} ${JSON.stringify(text)} is not a duration such as 30s or 4h0m0s`,
    );
  }
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (unitMs[unit ?? ''] ?? Number.NaN), 0);
}
