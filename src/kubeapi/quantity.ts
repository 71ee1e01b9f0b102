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

/** Powers of ten beyond this are cut: nothing that is counted has so many digits. */
const MAX_POWER = 100;

/** What is written longer than this is read to the precision of a double. */
const MAX_EXACT_CHARS = 128;

/**
 * Reads a quantity exactly, in billionths, rounded up as upstream does beyond them.
 *
 * @returns undefined for what is none
 */
export function quantityNanos(text: string | number): bigint | undefined {
  const written = String(text);
  const [, sign = '', whole = '', part = '', suffix = ''] = exactForm.exec(written) ?? [];
  if (whole === '' && part === '') return undefined;
  const power = powerOf(suffix);
  if (power === undefined) return undefined;
  const steps = BigInt(Math.max(0, binarySuffixes.indexOf(suffix) + 1));
  const size =
    written.length > MAX_EXACT_CHARS
      ? approximate(Math.abs(parseQuantity(written)))
      : scaled(BigInt(`${whole}${part}`) * 1024n ** steps, 9 + power - part.length);
  return sign === '-' ? -size : size;
}

const exactForm = /^([+-]?)(\d*)\.?(\d*)((?:[eE][+-]?\d+)|[a-zA-Z]{0,2})$/;
const decimalSuffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const binarySuffixes = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** The power of ten that a suffix says; undefined for what is none. */
function powerOf(suffix: string): number | undefined {
  const [, exponent] = /^[eE]([+-]?\d+)$/.exec(suffix) ?? [];
  if (exponent !== undefined) return Number(exponent);
  if (binarySuffixes.includes(suffix)) return 0;
  const step = decimalSuffixes.indexOf(suffix);
  return step === -1 ? undefined : 3 * (step - 3);
}

function scaled(base: bigint, power: number): bigint {
  if (power >= 0) return base * 10n ** BigInt(Math.min(power, MAX_POWER));
  const divisor = 10n ** BigInt(Math.min(-power, MAX_EXACT_CHARS + MAX_POWER));
  return (base + divisor - 1n) / divisor;
}

function approximate(value: number): bigint {
  return BigInt(Math.ceil(Math.min(value * 1e9, 10 ** MAX_POWER)));
}

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
