import { isJsonObject } from '../../common/json-object.ts';
import { sortedKeys } from '../../kubeapi/index.ts';

/** `fmt.Sprint`: `map[a:1 b:[2 3]]`, `<nil>`. */
export function sprint(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(sprint).join(' ')}]`;
  if (isJsonObject(value))
    return `map[${sortedKeys(value)
      .map((key) => `${key}:${sprint(value[key])}`)
      .join(' ')}]`;
  return typeof value === 'number' ? numberText(value) : typeof value === 'string' ? value : JSON.stringify(value);
}

/** The name of a value's type in Go's decoder of JSON. */
export function typeName(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}';
  if (isJsonObject(value)) return 'map[string]interface {}';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** Exponents as Go has them: two figures at least, and from 1e-05 downwards. */
function numberText(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-4) {
    return value.toExponential().replace(/e-(\d)$/, 'e-0$1');
  }
  return String(value);
}
