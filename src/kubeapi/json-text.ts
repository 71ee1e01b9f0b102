const ESCAPED = /[<>&\u2028\u2029]/g;

/**
 * JSON as Go writes it: keys in order, and what a browser could take for markup escaped.
 *
 * @param indent spaces of each level; 0 for one line
 */
export function formatJson(value: unknown, indent = 0): string {
  return JSON.stringify(withSortedKeys(value), null, indent).replace(
    ESCAPED,
    (letter) => `\\u${(letter.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** The keys of a map in the order of their bytes, in which Go's encoders write them. */
export function sortedKeys(map: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(map).sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
}

/** The same value with its maps in the order of their keys. */
export function withSortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSortedKeys);
  if (typeof value !== 'object' || value === null) return value;
  const map = value as Record<string, unknown>;
  return Object.fromEntries(sortedKeys(map).map((key) => [key, withSortedKeys(map[key])]));
}
