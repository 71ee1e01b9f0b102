import { parseQuantity } from '../../kubeapi/index.ts';
import { evaluate } from '../jsonpath/evaluate.ts';
import { sprint, typeName } from '../jsonpath/go-text.ts';
import { parseTemplate } from '../jsonpath/parse-template.ts';
import { UsageError } from '../usage-error.ts';

/**
 * Sorts by what a path finds in each item: numbers and quantities by their amount, texts by their letters; an item
 * without it comes first.
 *
 * @param path such as `{.metadata.name}`
 * @param objectOf the object in which the path is followed
 * @throws UsageError when no item has the field, or when it has no order
 */
export function sortedBy<T>(items: readonly T[], path: string, objectOf: (item: T) => unknown): T[] {
  const template = parseTemplate(path);
  const keyed = items.map((item) => ({ item, key: evaluate(template, objectOf(item))[0]?.[0] }));
  if (items.length > 0 && keyed.every(({ key }) => key === undefined)) {
    throw new UsageError(`couldn't find any field with path ${JSON.stringify(path)} in the list of objects`);
  }
  const wrong =
    keyed.length > 1 ? keyed.find(({ key }) => typeof key === 'object' || typeof key === 'boolean') : undefined;
  if (wrong !== undefined && wrong.key !== null) {
    throw new UsageError(`the field ${path} has no order: ${sprint(wrong.key)} is ${typeName(wrong.key)}`);
  }
  return keyed.sort((one, other) => order(one.key, other.key)).map(({ item }) => item);
}

function order(one: unknown, other: unknown): number {
  const isMissing = (key: unknown): boolean => key === undefined || key === null;
  if (isMissing(one) || isMissing(other)) return Number(isMissing(other)) - Number(isMissing(one));
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  const texts = [String(one), String(other)] as const;
  const [left, right] = texts.map(amountOf);
  if (left !== undefined && right !== undefined) return left - right;
  return Buffer.compare(Buffer.from(texts[0]), Buffer.from(texts[1]));
}

/** Undefined for a text that is no quantity. */
function amountOf(text: string): number | undefined {
  try {
    return parseQuantity(text);
  } catch {
    return undefined;
  }
}
