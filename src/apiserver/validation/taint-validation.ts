import type { JsonObject } from '../../common/json-object.ts';
import { choiceErrors, type FieldError, invalidField, unsupportedField } from '../api-error.ts';
import { textAt } from '../api-object.ts';
import { faultsOf, labelValueFaults, qualifiedNameFaults } from '../object-names.ts';

const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** @see kubernetes pkg/apis/core/validation, ValidateTolerations */
export function tolerationErrors(tolerations: readonly JsonObject[]): FieldError[] {
  return tolerations.flatMap((toleration, at) => {
    const path = `spec.tolerations[${at}]`;
    const [key = '', operator = '', value = '', effect = ''] = ['key', 'operator', 'value', 'effect'].map((field) =>
      textAt(toleration, [field]),
    );
    const errors = key === '' ? [] : faultsOf(`${path}.key`, key, qualifiedNameFaults(key));
    if (key === '' && operator !== 'Exists') {
      const rule = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      errors.push(invalidField(`${path}.operator`, operator, rule));
    }
    if (toleration['tolerationSeconds'] !== undefined && effect !== 'NoExecute') {
      errors.push(invalidField(`${path}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    if (operator === '' || operator === 'Equal')
      errors.push(...faultsOf(`${path}.operator`, value, labelValueFaults(value)));
    else if (operator !== 'Exists') errors.push(unsupportedField(`${path}.operator`, operator, ['Equal', 'Exists']));
    else if (value !== '') {
      errors.push(invalidField(`${path}.operator`, value, "value must be empty when `operator` is 'Exists'"));
    }
    if (effect !== '' && !taintEffects.includes(effect)) {
      errors.push(unsupportedField(`${path}.effect`, effect, taintEffects));
    }
    return errors;
  });
}

/** @see kubernetes pkg/apis/core/validation, validateNodeTaints */
export function taintErrors(taints: readonly JsonObject[]): FieldError[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, at) => {
    const path = `metadata.taints[${at}]`;
    const [key = '', value = '', effect = ''] = ['key', 'value', 'effect'].map((field) => textAt(taint, [field]));
    const pair = `${key}:${effect}`;
    const isTwice = seen.has(pair);
    seen.add(pair);
    return [
      ...faultsOf(`${path}.key`, key, qualifiedNameFaults(key)),
      ...faultsOf(`${path}.value`, value, labelValueFaults(value)),
      ...choiceErrors(`${path}.effect`, effect, taintEffects),
      ...(isTwice ? [twiceError(path, { key, value, effect, added: textAt(taint, ['timeAdded']) })] : []),
    ];
  });
}

function twiceError(field: string, taint: Readonly<Record<'key' | 'value' | 'effect' | 'added', string>>): FieldError {
  const [key, value, effect] = [taint.key, taint.value, taint.effect].map((text) => JSON.stringify(text));
  // As Go prints it.
  const shown = `core.Taint{Key:${key}, Value:${value}, Effect:${effect}, TimeAdded:${taint.added || '<nil>'}}`;
  const message = `Duplicate value: ${shown}: taints must be unique by key and effect pair`;
  return { field, reason: 'FieldValueDuplicate', message };
}
