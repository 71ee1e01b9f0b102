import { ExecPathError } from '../common/errors.ts';

/** Amounts by resource name (`cpu`, `memory`, `pods` …), each a quantity such as `500m` or `2Gi`. */
export type ResourceList = Readonly<Record<string, string | number>>;

/** Parts of one, divided by: 700 / 1e3 is 0.7, and 700 * 1e-3 is a bit more. */
const divisor: Readonly<Record<string, number>> = { n: 1e9, u: 1e6, m: 1e3 };

const multiplier: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/**
 * Reads a quantity: `100m` is 0.1, `1Ki` is 1024, `1e3` is 1000.
 *
 * @returns the amount in the resource's base unit (cores, bytes, pieces)
 * @throws ExecPathError ERR_MANIFEST naming `what`
 * @see kubernetes/apimachinery pkg/api/resource/quantity.go
 */
export function parseQuantity(text: string | number, what = 'quantity'): number {
  if (typeof text === 'number') return text;
  const [, amount = '', suffix = ''] = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([a-zA-Z]{0,2})$/.exec(text) ?? [];
  const [factor, parts] = [multiplier[suffix], divisor[suffix]];
  if (amount === '' || (factor ?? parts) === undefined) {
    throw new ExecPathError('ERR_MANIFEST', `${what} ${JSON.stringify(text)} is not a quantity such as 500m or 2Gi`);
  }
  return (Number(amount) * (factor ?? 1)) / (parts ?? 1);
}
