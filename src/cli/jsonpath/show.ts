import { formatJson } from '../../kubeapi/index.ts';
import { sprint } from './go-text.ts';

/** What `-o jsonpath` writes of the values of each part: texts as they are, maps and lists as JSON, spaces between. */
export function valuesText(found: readonly (readonly unknown[])[]): string {
  return found.map((values) => values.map(valueText).join(' ')).join('');
}

/** What `-o jsonpath-as-json` writes: a list for each part. */
export function valuesJson(found: readonly (readonly unknown[])[]): string {
  return found.map((values) => `${formatJson(values, 4)}\n`).join('');
}

/** What a custom column shows. */
export function columnText(found: readonly (readonly unknown[])[]): string {
  const values = found.flat();
  return found[0]?.length === 0 || found.length === 0
    ? ['<none>', ...values.map(sprint)].join(',')
    : values.map(sprint).join(',');
}

function valueText(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'object' ? formatJson(value) : sprint(value);
}
