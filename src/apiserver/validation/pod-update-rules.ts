import type { JsonObject } from '../../common/json-object.ts';
import { MIRROR_ANNOTATION } from '../../kubeapi/index.ts';
import { type FieldError, forbiddenField, invalidField, invalidShown } from '../api-error.ts';
import { type ApiObject, isSameJson, objectsAt, textAt, valueAt } from '../api-object.ts';

/** What a pod keeps for its life. @see kubernetes pkg/apis/core/validation, ValidatePodUpdate */
export function podUpdateErrors(next: ApiObject, current: ApiObject): FieldError[] {
  for (const field of ['containers', 'initContainers']) {
    const before = objectsAt(current, ['spec', field]);
    if (objectsAt(next, ['spec', field]).length === before.length) continue;
    return [forbiddenField(`spec.${field}`, 'pod updates may not add or remove containers')];
  }
  const errors: FieldError[] = [];
  const [deadline, earlier] = [next, current].map((pod) => valueAt(pod, ['spec', 'activeDeadlineSeconds']));
  if (typeof deadline === 'number' && typeof earlier === 'number' && deadline > earlier) {
    const rule = 'must be less than or equal to previous value';
    errors.push(invalidField('spec.activeDeadlineSeconds', deadline, rule));
  } else if (deadline === undefined && earlier !== undefined) {
    errors.push(
      invalidField('spec.activeDeadlineSeconds', null, 'must not update from a positive integer to nil value'),
    );
  }
  const kept = new Set(objectsAt(next, ['spec', 'tolerations']).map(tolerationKey));
  if (!objectsAt(current, ['spec', 'tolerations']).every((old) => kept.has(tolerationKey(old)))) {
    const rule = 'existing toleration can not be modified except its tolerationSeconds';
    errors.push(forbiddenField('spec.tolerations', rule));
  }
  const gates = new Set(objectsAt(current, ['spec', 'schedulingGates']).map((gate) => textAt(gate, ['name'])));
  for (const [at, gate] of objectsAt(next, ['spec', 'schedulingGates']).entries()) {
    const name = textAt(gate, ['name']);
    if (gates.has(name)) continue;
    const rule = `only deletion is allowed, but found new scheduling gate '${name}'`;
    errors.push(forbiddenField(`spec.schedulingGates[${at}].name`, rule));
  }
  if (gates.size > 0) errors.push(...gatedErrors(next, current));
  const [spec, old] = [fixedSpec(next, current), fixedSpec(current, current)];
  const changed = changedFields(spec, old);
  if (changed.length > 0) {
    // Behind this upstream prints the difference as Go source; the fields are what it tells.
    const fields = changed.map((key) => `spec.${key}`).join(', ');
    errors.push(forbiddenField('spec', `${UPDATE_RULE}\n changed: ${fields}`));
  }
  return errors;
}

/** What was added to a pod stays as it was added. @see ValidatePodEphemeralContainersUpdate */
export function ephemeralUpdateErrors(next: ApiObject, current: ApiObject): FieldError[] {
  if (current.metadata.annotations?.[MIRROR_ANNOTATION] !== undefined) {
    // Upstream's name of no field at all.
    return [forbiddenField('[]', 'static pods do not support ephemeral containers')];
  }
  const path = 'spec.ephemeralContainers';
  const added = new Map(objectsAt(next, ['spec', 'ephemeralContainers']).map((one) => [one['name'], one]));
  return objectsAt(current, ['spec', 'ephemeralContainers']).flatMap((old) => {
    const which = `existing ephemeral containers ${JSON.stringify(old['name'])}`;
    const one = added.get(old['name']);
    if (one === undefined) return [forbiddenField(path, `${which} may not be removed\n`)];
    const changed = changedFields(one, old);
    // Upstream prints the difference as Go source here too.
    return changed.length === 0
      ? []
      : [forbiddenField(path, `${which} may not be changed\n changed: ${changed.join(', ')}`)];
  });
}

/** A mirror stays one, and no other pod becomes one. @see ValidatePodSpecificAnnotationUpdates */
export function mirrorUpdateErrors(next: ApiObject, current: ApiObject): FieldError[] {
  const [now, before] = [next, current].map(({ metadata }) => metadata.annotations?.[MIRROR_ANNOTATION]);
  if (now === before) return [];
  const verb = before === undefined ? 'add' : 'remove or update';
  return [forbiddenField(`metadata.annotations[${MIRROR_ANNOTATION}]`, `may not ${verb} mirror pod annotation`)];
}

/** While a pod waits at a gate it may be told to take fewer nodes, not others. */
function gatedErrors(next: ApiObject, current: ApiObject): FieldError[] {
  const [selector = {}, before = {}] = [next, current].map(
    (pod) => (valueAt(pod, ['spec', 'nodeSelector']) ?? {}) as Readonly<Record<string, string>>,
  );
  const [terms = [], earlier = []] = [next, current].map((pod) => objectsAt(pod, NODE_TERMS));
  const isNarrower = Object.entries(before).every(([key, value]) => selector[key] === value);
  const field = NODE_TERMS.join('.');
  const errors = isNarrower
    ? []
    : [
        invalidShown(
          'spec.nodeSelector',
          goMap(selector),
          'only additions to spec.nodeSelector are allowed (no mutations or deletions)',
        ),
      ];
  if (earlier.length === 0) return errors;
  // There upstream prints the terms as Go source.
  if (terms.length !== earlier.length) {
    const rule = 'no additions/deletions to non-empty NodeSelectorTerms list are allowed';
    return [...errors, invalidField(field, terms, rule)];
  }
  const changed = terms.flatMap((term, at) =>
    hasAdditionsAlone(term, earlier[at])
      ? []
      : [invalidField(`${field}[${at}]`, term, 'only additions are allowed (no mutations or deletions)')],
  );
  return [...errors, ...changed];
}

const NODE_TERMS = [
  'spec',
  'affinity',
  'nodeAffinity',
  'requiredDuringSchedulingIgnoredDuringExecution',
  'nodeSelectorTerms',
];

/** An empty term takes no node, so that anything added to it would take more. */
function hasAdditionsAlone(term: JsonObject, before: JsonObject | undefined): boolean {
  const lists = ['matchExpressions', 'matchFields'].map((field) => ({
    now: objectsAt(term, [field]),
    old: objectsAt(before, [field]),
  }));
  if (lists.every(({ old }) => old.length === 0)) return lists.every(({ now }) => now.length === 0);
  return lists.every(({ now, old }) => old.every((requirement, at) => isSameJson(requirement, now[at])));
}

function goMap(map: Readonly<Record<string, string>>): string {
  const entries = Object.entries(map).sort(([left], [right]) => (left < right ? -1 : 1));
  return `map[string]string{${entries.map((entry) => entry.map((text) => JSON.stringify(text)).join(':')).join(', ')}}`;
}

const UPDATE_RULE =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,' +
  '`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),' +
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** The spec of `pod` with all that may change set to what it is in `current`. */
function fixedSpec(pod: ApiObject, current: ApiObject): JsonObject {
  const spec = (pod['spec'] ?? {}) as JsonObject;
  const old = (current['spec'] ?? {}) as JsonObject;
  const { terminationGracePeriodSeconds: grace } = spec;
  const oldGrace = old['terminationGracePeriodSeconds'];
  const isGraceFreed = typeof oldGrace === 'number' && oldGrace < 0 && grace === 1;
  const isGated = objectsAt(old, ['schedulingGates']).length > 0;
  return {
    ...spec,
    activeDeadlineSeconds: null,
    tolerations: null,
    schedulingGates: null,
    ...(isGraceFreed ? { terminationGracePeriodSeconds: oldGrace } : {}),
    ...(isGated ? { nodeSelector: null, affinity: withoutNodes(spec['affinity']) } : {}),
    containers: withoutImages(spec['containers']),
    initContainers: withoutImages(spec['initContainers'] ?? []),
  };
}

/** Affinity to pods alone; nothing where there is none. */
function withoutNodes(affinity: unknown): unknown {
  const { nodeAffinity: _, ...rest } = (affinity ?? {}) as JsonObject;
  return rest;
}

function changedFields(next: JsonObject, old: JsonObject): string[] {
  return [...new Set([...Object.keys(next), ...Object.keys(old)])].filter((key) => !isSameJson(next[key], old[key]));
}

function withoutImages(containers: unknown): unknown {
  return Array.isArray(containers) ? containers.map((one: JsonObject) => ({ ...one, image: null })) : containers;
}

/** What of a toleration stays: all but its seconds, and an empty text is none. */
function tolerationKey(toleration: JsonObject): string {
  return JSON.stringify(['key', 'operator', 'value', 'effect'].map((field) => toleration[field] || null));
}
