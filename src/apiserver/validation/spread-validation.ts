import type { JsonObject } from '../../common/json-object.ts';
import { duplicateField, type FieldError, invalidField, requiredField, unsupportedField } from '../api-error.ts';
import { objectsAt, textAt } from '../api-object.ts';
import { faultsOf, qualifiedNameFaults } from '../object-names.ts';
import { IN_BOTH, unselected } from './affinity-validation.ts';
import { labelSelectorErrors } from './selector-validation.ts';

const actions = ['DoNotSchedule', 'ScheduleAnyway'];

/** @see kubernetes pkg/apis/core/validation, validateTopologySpreadConstraints */
export function spreadErrors(constraints: readonly JsonObject[]): FieldError[] {
  const pairs = constraints.map((constraint) =>
    ['topologyKey', 'whenUnsatisfiable'].map((field) => textAt(constraint, [field])),
  );
  const lastOf = new Map(pairs.map((pair, at) => [JSON.stringify(pair), at]));
  return constraints.flatMap((constraint, at) => {
    const path = `spec.topologySpreadConstraints[${at}]`;
    const [key = '', action = ''] = pairs[at] ?? [];
    const isRepeated = lastOf.get(JSON.stringify(pairs[at])) !== at;
    const { maxSkew = 0, labelSelector } = constraint;
    return [
      ...positiveErrors(`${path}.maxSkew`, maxSkew),
      ...(key === '' ? [requiredField(`${path}.topologyKey`, 'can not be empty')] : []),
      ...(actions.includes(action) ? [] : [unsupportedField(`${path}.whenUnsatisfiable`, action, actions)]),
      ...(isRepeated ? [duplicateField(`${path}.{topologyKey, whenUnsatisfiable}`, `{${key}, ${action}}`)] : []),
      ...minDomainErrors(`${path}.minDomains`, constraint['minDomains'], action),
      ...['nodeAffinityPolicy', 'nodeTaintsPolicy'].flatMap((field) => {
        const policy = constraint[field];
        if (policy === undefined || policy === 'Honor' || policy === 'Ignore') return [];
        return [unsupportedField(`${path}.${field}`, policy, ['Honor', 'Ignore'])];
      }),
      ...labelKeyErrors(`${path}.matchLabelKeys`, constraint),
      ...labelSelectorErrors(`${path}.labelSelector`, labelSelector as JsonObject | undefined),
    ];
  });
}

function positiveErrors(field: string, value: unknown): FieldError[] {
  return Number(value) > 0 ? [] : [invalidField(field, value, 'must be greater than zero')];
}

function minDomainErrors(field: string, count: unknown, action: string): FieldError[] {
  if (count === undefined) return [];
  const rule = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${action}`;
  return [...positiveErrors(field, count), ...(action === 'DoNotSchedule' ? [] : [invalidField(field, count, rule)])];
}

function labelKeyErrors(path: string, constraint: JsonObject): FieldError[] {
  const keys = (constraint['matchLabelKeys'] ?? []) as readonly string[];
  const selector = constraint['labelSelector'] as JsonObject | undefined;
  const selected = new Set([
    ...Object.keys(selector?.['matchLabels'] ?? {}),
    ...objectsAt(selector, ['matchExpressions']).map((requirement) => textAt(requirement, ['key'])),
  ]);
  return [
    ...(keys.length > 0 && selector === undefined ? [unselected(path)] : []),
    ...keys.flatMap((key, at) => [
      ...faultsOf(`${path}[${at}]`, key, qualifiedNameFaults(key)),
      ...(selected.has(key) ? [invalidField(`${path}[${at}]`, key, IN_BOTH)] : []),
    ]),
  ];
}
