import type { JsonObject } from '../../common/json-object.ts';
import { type FieldError, forbiddenField, invalidField, requiredField } from '../api-error.ts';
import { objectsAt, textAt } from '../api-object.ts';
import { dnsSubdomainFaults, faultsOf, labelErrors, labelValueFaults, qualifiedNameFaults } from '../object-names.ts';

/** What is wrong with a selector of labels. @see kubernetes/apimachinery pkg/apis/meta/v1/validation, ValidateLabelSelector */
export function labelSelectorErrors(path: string, selector: JsonObject | undefined): FieldError[] {
  const labels = (selector?.['matchLabels'] ?? {}) as Readonly<Record<string, string>>;
  return [
    ...labelErrors(`${path}.matchLabels`, labels),
    ...objectsAt(selector, ['matchExpressions']).flatMap((requirement, at) => [
      ...requirementErrors(`${path}.matchExpressions[${at}]`, requirement),
      ...valuesOf(requirement).flatMap((value, index) =>
        faultsOf(`${path}.matchExpressions[${at}].values[${index}]`, value, labelValueFaults(value)),
      ),
    ]),
  ];
}

/**
 * What is wrong with the terms by which nodes are chosen. What cannot be the value of a label is taken: no node has it.
 *
 * @see kubernetes pkg/apis/core/validation, ValidateNodeSelectorTerm
 */
export function nodeTermErrors(path: string, term: unknown): FieldError[] {
  return [
    ...objectsAt(term, ['matchExpressions']).flatMap((requirement, at) =>
      requirementErrors(`${path}.matchExpressions[${at}]`, requirement, ['Gt', 'Lt']),
    ),
    ...objectsAt(term, ['matchFields']).flatMap((requirement, at) =>
      nodeFieldErrors(`${path}.matchFields[${at}]`, requirement),
    ),
  ];
}

/** @param comparisons operators that take one value */
function requirementErrors(path: string, requirement: JsonObject, comparisons: readonly string[] = []): FieldError[] {
  const operator = textAt(requirement, ['operator']);
  const count = valuesOf(requirement).length;
  const errors: FieldError[] = [];
  if (operator === 'In' || operator === 'NotIn') {
    if (count === 0)
      errors.push(requiredField(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    const rule = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
    if (count > 0) errors.push(forbiddenField(`${path}.values`, rule));
  } else if (comparisons.includes(operator)) {
    const rule = "must be specified single value when `operator` is 'Lt' or 'Gt'";
    if (count !== 1) errors.push(requiredField(`${path}.values`, rule));
  } else errors.push(operatorError(path, operator));
  const key = textAt(requirement, ['key']);
  return [...errors, ...faultsOf(`${path}.key`, key, qualifiedNameFaults(key))];
}

function nodeFieldErrors(path: string, requirement: JsonObject): FieldError[] {
  const operator = textAt(requirement, ['operator']);
  const key = textAt(requirement, ['key']);
  const values = valuesOf(requirement);
  const errors: FieldError[] = [];
  if (operator !== 'In' && operator !== 'NotIn') errors.push(operatorError(path, operator));
  else if (values.length !== 1) {
    const rule = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
    errors.push(requiredField(`${path}.values`, rule));
  }
  if (key !== 'metadata.name') return [...errors, invalidField(`${path}.key`, key, 'not a valid field selector key')];
  return [
    ...errors,
    ...values.flatMap((value, at) => faultsOf(`${path}.values[${at}]`, value, dnsSubdomainFaults(value))),
  ];
}

function operatorError(path: string, operator: string): FieldError {
  return invalidField(`${path}.operator`, operator, 'not a valid selector operator');
}

function valuesOf(requirement: JsonObject): readonly string[] {
  return (requirement['values'] ?? []) as readonly string[];
}
