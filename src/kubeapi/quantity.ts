import { ExecPathError } from '../common/errors.ts';

/** Amounts by resource name (`cpu`, `memory`, `pods` …), each a quantity such as `500m` or `2Gi`. */
export type ResourceList = Readonly<Record<string, string | number>>;

const quantityForm = /^([+-]?)(\d*)\.?(\d*)((?:[eE][+-]?\d+)|[a-zA-Z]{0,2})$/;
const decimalSuffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const binarySuffixes = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

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
  const [, sign = '', whole = '', part = '', suffix = ''] = quantityForm.exec(written) ?? [];
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
  const [, sign = '', whole = '', part = '', suffix = ''] = quantityForm.exec(text) ?? [];
  const power = powerOf(suffix);
  if ((whole === '' && part === '') || power === undefined) {
    throw new ExecPathError('ERR_MANIFEST', `${what} ${JSON.stringify(text)} is not a quantity such as 500m or 2Gi`);
  }
  return Number(`${sign}${whole}.${part}0e${power}`) * 1024 ** (binarySuffixes.indexOf(suffix) + 1);
}
