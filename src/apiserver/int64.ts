const MAX = 2n ** 63n - 1n;
const MIN = -(2n ** 63n);

/** Signs and leading zeros apart, no int64 has more digits. */
const MAX_DIGITS = 19;

const integer = /^([+-]?)0*(\d+)$/;

/** True for what is written as an integer, of whatever size. */
export function isInteger(text: string): boolean {
  return integer.test(text);
}

/** What Go reads as an int64, exactly; undefined for anything else. */
export function int64Of(text: string): bigint | undefined {
  const [, sign = '', digits = ''] = integer.exec(text) ?? [];
  if (digits === '' || digits.length > MAX_DIGITS) return undefined;
  const value = BigInt(`${sign}${digits}`);
  return value >= MIN && value <= MAX ? value : undefined;
}

/** True when both are int64 and the first is the greater. */
export function isGreater(text: string, than: string): boolean {
  const [left, right] = [int64Of(text), int64Of(than)];
  return left !== undefined && right !== undefined && left > right;
}
