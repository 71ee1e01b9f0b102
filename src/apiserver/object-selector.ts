import type { LabelSelector, SelectorRequirement } from '../kubeapi/index.ts';
import { isGreater } from './int64.ts';
import type { Labels } from './label-selector.ts';

/** True when an object with these labels is selected; none selects nothing, an empty one everything. */
export function isSelected(selector: LabelSelector | undefined, labels: Labels = {}): boolean {
  if (selector === undefined) return false;
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => valueOf(labels, key) === value) &&
    matchExpressions.every((requirement) => holds(requirement, valueOf(labels, requirement.key)))
  );
}

/** True for a selector that selects everything. */
export function isEmptySelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): boolean {
  return Object.keys(matchLabels).length + matchExpressions.length === 0;
}

/** @param value undefined: there is none */
export function holds({ operator, values = [] }: SelectorRequirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && isGreater(value, values[0] ?? '');
    case 'Lt':
      return value !== undefined && isGreater(values[0] ?? '', value);
    default:
      return false;
  }
}

/** Of labels that came from outside: `constructor` is no label of everything. */
export function valueOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
