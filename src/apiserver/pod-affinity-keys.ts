import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import { type ApiObject, valueAt } from './api-object.ts';

/**
 * A new pod whose terms of affinity select by its own labels: what `matchLabelKeys` names becomes `KEY in (VALUE)` of the
 * term's selector, what `mismatchLabelKeys` names `KEY notin (VALUE)`. A key that the pod does not have says nothing.
 *
 * @see kubernetes pkg/registry/core/pod/strategy.go, mutatePodAffinity
 */
export function withOwnLabelsSelected(pod: ApiObject): ApiObject {
  const affinity = valueAt(pod, ['spec', 'affinity']);
  if (!isJsonObject(affinity)) return pod;
  const labels = pod.metadata.labels ?? {};
  const filled = ['podAffinity', 'podAntiAffinity']
    .filter((kind) => isJsonObject(affinity[kind]))
    .map((kind) => [kind, withSelectors(affinity[kind] as JsonObject, labels)]);
  const spec = pod['spec'] as JsonObject;
  return { ...pod, spec: { ...spec, affinity: { ...affinity, ...Object.fromEntries(filled) } } };
}

function withSelectors(affinity: JsonObject, labels: Readonly<Record<string, string>>): JsonObject {
  const lists = Object.entries(affinity).map(([field, terms]) => [
    field,
    Array.isArray(terms)
      ? terms.map((term: JsonObject) =>
          isJsonObject(term['podAffinityTerm'])
            ? { ...term, podAffinityTerm: withSelector(term['podAffinityTerm'], labels) }
            : withSelector(term, labels),
        )
      : terms,
  ]);
  return Object.fromEntries(lists);
}

function withSelector(term: JsonObject, labels: Readonly<Record<string, string>>): JsonObject {
  const { labelSelector, matchLabelKeys = [], mismatchLabelKeys = [] } = term;
  // Without a selector a term selects nothing, however it is narrowed.
  if (!isJsonObject(labelSelector)) return term;
  const requirementsOf = (keys: unknown, operator: string): JsonObject[] =>
    (keys as readonly string[])
      .filter((key) => Object.hasOwn(labels, key))
      .map((key) => ({ key, operator, values: [labels[key]] }));
  const added = [...requirementsOf(matchLabelKeys, 'In'), ...requirementsOf(mismatchLabelKeys, 'NotIn')];
  if (added.length === 0) return term;
  const { matchExpressions = [] } = labelSelector;
  return {
    ...term,
    labelSelector: { ...labelSelector, matchExpressions: [...(matchExpressions as readonly unknown[]), ...added] },
  };
}
