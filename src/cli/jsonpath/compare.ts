type Comparable = string | number | boolean;

/**
 * `left operator right` as in a filter. Only values of one kind can be compared.
 *
 * @throws Error in Go's words
 */
export function compare(left: unknown, operator: string, right: unknown): boolean {
  switch (operator) {
    case '==':
      return isEqual(left, right);
    case '!=':
      return !isEqual(left, right);
    case '<':
      return isLess(left, right);
    case '<=':
      return isLess(left, right) || isEqual(left, right);
    case '>':
      return !isLess(left, right) && !isEqual(left, right);
    case '>=':
      return !isLess(left, right);
    default:
      throw new Error(`unrecognized filter operator ${operator}`);
  }
}

function isEqual(left: unknown, right: unknown): boolean {
  checkKinds(left, right);
  return left === right;
}

function isLess(left: unknown, right: unknown): boolean {
  const kind = checkKinds(left, right);
  if (kind === 'bool') throw new Error('invalid type for comparison');
  return (left as Comparable) < (right as Comparable);
}

function checkKinds(left: unknown, right: unknown): string {
  const kinds = [left, right].map(kindOf);
  if (kinds.includes('invalid')) throw new Error('invalid type for comparison');
  if (kinds[0] !== kinds[1]) throw new Error('incompatible types for comparison');
  return kinds[0] ?? 'invalid';
}

function kindOf(value: unknown): 'string' | 'int' | 'float' | 'bool' | 'invalid' {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value !== 'number') return 'invalid';
  return Number.isInteger(value) ? 'int' : 'float';
}
