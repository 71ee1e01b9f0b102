import type { JsonObject } from '../../common/json-object.ts';
import { type FieldError, forbiddenField, invalidField, requiredField } from '../api-error.ts';
import { objectsAt, textAt, valueAt } from '../api-object.ts';
import { dnsLabelFaults, faultsOf, qualifiedNameFaults } from '../object-names.ts';
import { labelSelectorErrors, nodeTermErrors } from './selector-validation.ts';

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

/** @see kubernetes pkg/apis/core/validation, validateAffinity */
export function affinityErrors(affinity: unknown): FieldError[] {
  return [
    ...nodeAffinityErrors('spec.affinity.nodeAffinity', valueAt(affinity, ['nodeAffinity'])),
    ...['podAffinity', 'podAntiAffinity'].flatMap((kind) =>
      podAffinityErrors(`spec.affinity.${kind}`, valueAt(affinity, [kind])),
    ),
  ];
}

function nodeAffinityErrors(path: string, affinity: unknown): FieldError[] {
  const required = valueAt(affinity, [REQUIRED]);
  const terms = objectsAt(required, ['nodeSelectorTerms']);
  const field = `${path}.${REQUIRED}.nodeSelectorTerms`;
  return [
    ...(required !== undefined && terms.length === 0
      ? [requiredField(field, 'must have at least one node selector term')]
      : []),
    ...terms.flatMap((term, at) => nodeTermErrors(`${field}[${at}]`, term)),
    ...objectsAt(affinity, [PREFERRED]).flatMap((wish, at) => [
      ...weightErrors(`${path}.${PREFERRED}[${at}]`, wish),
      ...nodeTermErrors(`${path}.${PREFERRED}[${at}].preference`, wish['preference']),
    ]),
  ];
}

function podAffinityErrors(path: string, affinity: unknown): FieldError[] {
  return [
    ...objectsAt(affinity, [REQUIRED]).flatMap((term, at) => podTermErrors(`${path}.${REQUIRED}[${at}]`, term)),
    ...objectsAt(affinity, [PREFERRED]).flatMap((wish, at) => [
      ...weightErrors(`${path}.${PREFERRED}[${at}]`, wish),
      ...podTermErrors(`${path}.${PREFERRED}[${at}].podAffinityTerm`, (wish['podAffinityTerm'] ?? {}) as JsonObject),
    ]),
  ];
}

function weightErrors(path: string, { weight = 0 }: JsonObject): FieldError[] {
  if (Number(weight) >= 1 && Number(weight) <= 100) return [];
  return [invalidField(`${path}.weight`, weight, 'must be in the range 1-100')];
}

/** @see kubernetes pkg/apis/core/validation, validatePodAffinityTerm */
function podTermErrors(path: string, term: JsonObject): FieldError[] {
  const namespaces = (term['namespaces'] ?? []) as readonly string[];
  const topologyKey = textAt(term, ['topologyKey']);
  return [
    ...['labelSelector', 'namespaceSelector'].flatMap((field) =>
      labelSelectorErrors(`${path}.${field}`, term[field] as JsonObject | undefined),
    ),
    ...namespaces.flatMap((name) => faultsOf(`${path}.namespace`, name, dnsLabelFaults(name))),
    ...labelKeyErrors(path, term),
    ...(topologyKey === '' ? [requiredField(`${path}.topologyKey`, 'can not be empty')] : []),
    ...faultsOf(`${path}.topologyKey`, topologyKey, qualifiedNameFaults(topologyKey)),
  ];
}

/** @see kubernetes pkg/apis/core/validation, validateMatchLabelKeysAndMismatchLabelKeys */
function labelKeyErrors(path: string, term: JsonObject): FieldError[] {
  const selector = term['labelSelector'] as JsonObject | undefined;
  const matching = (term['matchLabelKeys'] ?? []) as readonly string[];
  const mismatching = (term['mismatchLabelKeys'] ?? []) as readonly string[];
  const lastOf = new Map(matching.map((key, at) => [key, at]));
  const unwanted = new Set(mismatching);
  const keyErrors = (field: string, keys: readonly string[]): FieldError[] => {
    if (keys.length === 0) return [];
    if (selector === undefined) return [unselected(`${path}.${field}`)];
    return keys.flatMap((key, at) => faultsOf(`${path}.${field}[${at}]`, key, qualifiedNameFaults(key)));
  };
  // What matchLabelKeys name has been added to the selector before: a key that is there before it, is there twice.
  const selected = new Set(Object.keys(selector?.['matchLabels'] ?? {}));
  const twice = objectsAt(selector, ['matchExpressions']).flatMap((requirement) => {
    const key = textAt(requirement, ['key']);
    const isKnown = selected.has(key);
    selected.add(key);
    const at = lastOf.get(key);
    // Upstream leaves the field's name out there.
    return isKnown && at !== undefined ? [invalidField(`${path}[${at}]`, key, IN_BOTH)] : [];
  });
  return [
    ...keyErrors('matchLabelKeys', matching),
    ...keyErrors('mismatchLabelKeys', mismatching),
    ...twice,
    ...matching.flatMap((key, at) =>
      unwanted.has(key)
        ? [invalidField(`${path}.matchLabelKeys[${at}]`, key, 'exists in both matchLabelKeys and mismatchLabelKeys')]
        : [],
    ),
  ];
}

/** A key of `matchLabelKeys` that the selector has too. */
export const IN_BOTH = 'exists in both matchLabelKeys and labelSelector';

/** Keys of labels without a selector that they would narrow. */
export function unselected(field: string): FieldError {
  return forbiddenField(field, 'must not be specified when labelSelector is not set');
}
