import { MIRROR_ANNOTATION } from '../../kubeapi/index.ts';
import { type FieldError, forbiddenField, invalidField } from '../api-error.ts';
import { type ApiObject, isSameJson, type JsonObject, objectsAt, valueAt } from '../api-object.ts';

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
  const [tolerations, before] = [next, current].map((pod) =>
    objectsAt(pod, ['spec', 'tolerations']).map(withoutSeconds),
  );
  if (before?.every((old) => tolerations?.some((one) => isSameJson(one, old))) !== true) {
    const rule = 'existing toleration can not be modified except its tolerationSeconds';
    errors.push(forbiddenField('spec.tolerations', rule));
  }
  const gates = objectsAt(current, ['spec', 'schedulingGates']);
  if (objectsAt(next, ['spec', 'schedulingGates']).some((gate) => !gates.some((one) => isSameJson(one, gate)))) {
    errors.push(forbiddenField('spec.schedulingGates', 'only deletion is allowed'));
  }
  const [spec, old] = [fixedSpec(next, current), fixedSpec(current, current)];
  const changed = [...new Set([...Object.keys(spec), ...Object.keys(old)])].filter(
    (key) => !isSameJson(spec[key], old[key]),
  );
  if (changed.length > 0) {
    // Behind this upstream prints the difference as Go source; the fields are what it tells.
    const fields = changed.map((key) => `spec.${key}`).join(', ');
    errors.push(forbiddenField('spec', `${UPDATE_RULE}\n changed: ${fields}`));
  }
  return errors;
}

/** A mirror stays one, and no other pod becomes one. @see ValidatePodSpecificAnnotationUpdates */
export function mirrorUpdateErrors(next: ApiObject, current: ApiObject): FieldError[] {
  const [now, before] = [next, current].map(({ metadata }) => metadata.annotations?.[MIRROR_ANNOTATION]);
  if (now === before) return [];
  const verb = before === undefined ? 'add' : 'remove or update';
  return [forbiddenField(`metadata.annotations[${MIRROR_ANNOTATION}]`, `may not ${verb} mirror pod annotation`)];
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
    ...(isGated ? { nodeSelector: null } : {}),
    containers: withoutImages(spec['containers']),
    initContainers: withoutImages(spec['initContainers'] ?? []),
  };
}

function withoutImages(containers: unknown): unknown {
  return Array.isArray(containers) ? containers.map((one: JsonObject) => ({ ...one, image: null })) : containers;
}

function withoutSeconds(toleration: JsonObject): JsonObject {
  return { ...toleration, tolerationSeconds: undefined };
}
