import { quantityNanos, type ResourceList } from '../../kubeapi/index.ts';

const NANO = 1_000_000_000n;
const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** A quantity, in billionths, with the form in which it was written. */
export interface Amount {
  readonly nano: bigint;
  readonly form: 'decimal' | 'binary' | 'exponent';
}

export const ZERO: Amount = { nano: 0n, form: 'decimal' };

/** Reads a quantity such as `500m`, `2Gi` or `1e3`; what is none counts as nothing. */
export function amountOf(text: string | number | undefined): Amount {
  const written = String(text ?? '');
  const nano = quantityNanos(written);
  if (nano === undefined) return ZERO;
  if (/[eE][+-]?\d+$/.test(written)) return { nano, form: 'exponent' };
  return { nano, form: written.endsWith('i') ? 'binary' : 'decimal' };
}

/** The shortest form without a fraction: `1024Mi` is `1Gi`, `0.5` is `500m`. */
export function amountText({ nano, form }: Amount): string {
  const size = nano < 0n ? -nano : nano;
  const sign = nano < 0n ? '-' : '';
  if (size === 0n) return '0';
  if (form === 'binary' && size % NANO === 0n && size / NANO >= 1024n) {
    let count = size / NANO;
    let step = 0;
    while (count % 1024n === 0n && step < BINARY.length - 1) {
      count /= 1024n;
      step += 1;
    }
    return `${sign}${count}${BINARY[step]}`;
  }
  let count = size;
  let step = 0;
  while (count % 1000n === 0n && step < DECIMAL.length - 1) {
    count /= 1000n;
    step += 1;
  }
  if (form === 'exponent') return `${sign}${count}${step === 3 ? '' : `e${3 * (step - 3)}`}`;
  return `${sign}${count}${DECIMAL[step]}`;
}

/** In thousandths, rounded up. */
export function milliOf({ nano }: Amount): number {
  return Number((nano + 999_999n) / 1_000_000n);
}

/** In whole units, rounded up. */
export function wholeOf({ nano }: Amount): number {
  return Number((nano + NANO - 1n) / NANO);
}

export type Amounts = ReadonlyMap<string, Amount>;

export function amountsOf(list: ResourceList = {}): Amounts {
  return new Map(Object.entries(list).map(([name, text]) => [name, amountOf(text)]));
}

/** For each name the sum; its form is that of the first that is not nothing. */
export function sumOf(one: Amounts, other: Amounts): Amounts {
  return combined(one, other, (left, right) => ({
    nano: left.nano + right.nano,
    form: left.nano === 0n ? right.form : left.form,
  }));
}

/** For each name the larger amount. */
export function largerOf(one: Amounts, other: Amounts): Amounts {
  return combined(one, other, (left, right) => (right.nano > left.nano ? right : left));
}

function combined(one: Amounts, other: Amounts, of: (left: Amount, right: Amount) => Amount): Amounts {
  const all = new Map(one);
  for (const [name, amount] of other) {
    const before = all.get(name);
    all.set(name, before === undefined ? amount : of(before, amount));
  }
  return all;
}
