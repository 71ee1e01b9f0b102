import type { JsonObject } from '../../common/json-object.ts';
import {
  choiceErrors,
  duplicateField,
  type FieldError,
  forbiddenField,
  invalidField,
  missingField,
  requiredField,
  unsupportedField,
} from '../api-error.ts';
import { objectsAt, textAt } from '../api-object.ts';
import { dnsLabelFaults, dnsSubdomainFaults, faultsOf } from '../object-names.ts';
import { resourceErrors } from './amount-validation.ts';
import { fieldRefErrors, keyRefErrors, resourceRefErrors, variableFields } from './field-reference-validation.ts';
import { deviceErrors, mountErrors, type Volumes } from './mount-validation.ts';
import { hostPortErrors, portErrors, takenPortErrors } from './port-validation.ts';
import { handlerErrors } from './probe-validation.ts';
import { securityErrors } from './security-validation.ts';

/** The rules of all containers of a pod. */
export function containerListErrors(spec: JsonObject | undefined): FieldError[] {
  // Of several with one name the first counts.
  const volumes = new Map(
    objectsAt(spec, ['volumes'])
      .toReversed()
      .map((volume) => [volume['name'], volume]),
  );
  const containers = objectsAt(spec, ['containers']);
  const errors: FieldError[] = [];
  const check = (
    field: string,
    taken: ReadonlySet<string>,
    more: (path: string, container: JsonObject) => FieldError[],
  ): ReadonlySet<string> => {
    const names = new Set(taken);
    for (const [at, container] of objectsAt(spec, [field]).entries()) {
      const path = `spec.${field}[${at}]`;
      errors.push(...containerErrors(path, container, volumes));
      const name = textAt(container, ['name']);
      if (name !== '' && names.has(name)) errors.push(duplicateField(`${path}.name`, name));
      if (name !== '') names.add(name);
      errors.push(...more(path, container));
    }
    return names;
  };
  if (containers.length === 0) errors.push(requiredField('spec.containers'));
  const names = check('containers', new Set(), regularErrors);
  errors.push(...takenPortErrors(containers));
  const all = check('initContainers', names, initErrors);
  check('ephemeralContainers', all, (path, container) => ephemeralErrors(path, container, all));
  return [...errors, ...hostPortErrors(spec, containers)];
}

/** @see kubernetes pkg/apis/core/validation, validateContainerCommon */
function containerErrors(path: string, container: JsonObject, volumes: Volumes): FieldError[] {
  const name = textAt(container, ['name']);
  const image = textAt(container, ['image']);
  return [
    ...(name === '' ? [requiredField(`${path}.name`)] : faultsOf(`${path}.name`, name, dnsLabelFaults(name))),
    ...(image === '' ? [requiredField(`${path}.image`)] : []),
    ...choiceErrors(`${path}.terminationMessagePolicy`, textAt(container, ['terminationMessagePolicy']), [
      'File',
      'FallbackToLogsOnError',
    ]),
    ...portErrors(`${path}.ports`, objectsAt(container, ['ports'])),
    ...envErrors(`${path}.env`, objectsAt(container, ['env'])),
    ...envFromErrors(`${path}.envFrom`, objectsAt(container, ['envFrom'])),
    ...mountErrors(`${path}.volumeMounts`, container, volumes),
    ...deviceErrors(`${path}.volumeDevices`, container, volumes),
    ...choiceErrors(`${path}.imagePullPolicy`, textAt(container, ['imagePullPolicy']), [
      'Always',
      'IfNotPresent',
      'Never',
    ]),
    ...resourceErrors(`${path}.resources`, container),
    ...securityErrors(`${path}.securityContext`, container),
    ...(image === image.trim()
      ? []
      : [invalidField(`${path}.image`, image, 'must not have leading or trailing whitespace')]),
  ];
}

function regularErrors(path: string, container: JsonObject): FieldError[] {
  return [
    ...handlerErrors(path, container),
    ...(container['restartPolicy'] === undefined
      ? []
      : [forbiddenField(`${path}.restartPolicy`, 'may not be set for non-init containers')]),
  ];
}

function initErrors(path: string, container: JsonObject): FieldError[] {
  const policy = container['restartPolicy'];
  if (policy === 'Always') return handlerErrors(path, container);
  const rule = 'may not be set for init containers without restartPolicy=Always';
  return [
    ...(policy === undefined ? [] : [unsupportedField(`${path}.restartPolicy`, policy, ['Always'])]),
    ...['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe']
      .filter((field) => container[field] !== undefined)
      .map((field) => forbiddenField(`${path}.${field}`, rule)),
  ];
}

/** What makes a service of a container, which nobody is to rely on here. */
const servingFields = [
  'ports',
  'resources',
  'resizePolicy',
  'restartPolicy',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
];

/**
 * @param others names of the containers that may be a target
 * @see kubernetes pkg/apis/core/validation, validateEphemeralContainers
 */
function ephemeralErrors(path: string, container: JsonObject, others: ReadonlySet<string>): FieldError[] {
  const rule = 'cannot be set for an Ephemeral Container';
  const target = textAt(container, ['targetContainerName']);
  const isSet = (field: string): boolean =>
    field === 'resources' ? Object.keys(container[field] ?? {}).length > 0 : container[field] !== undefined;
  return [
    ...(target === '' || others.has(target) ? [] : [missingField(`${path}.targetContainerName`, target)]),
    ...servingFields.filter(isSet).map((field) => forbiddenField(`${path}.${field}`, rule)),
    ...objectsAt(container, ['volumeMounts']).flatMap((mount, at) =>
      ['subPath', 'subPathExpr']
        .filter((field) => textAt(mount, [field]) !== '')
        .map((field) => forbiddenField(`${path}.volumeMounts[${at}].${field}`, rule)),
    ),
  ];
}

/** Upstream's words for what cannot be the name of a variable. */
function variableNameErrors(field: string, name: string): FieldError[] {
  if (/^[ -<>-~]+$/.test(name)) return [];
  const rule = "a valid environment variable name must consist only of printable ASCII characters other than '='";
  return [invalidField(field, name, rule)];
}

function envErrors(path: string, variables: readonly JsonObject[]): FieldError[] {
  return variables.flatMap((variable, at) => {
    const name = textAt(variable, ['name']);
    const errors =
      name === '' ? [requiredField(`${path}[${at}].name`)] : variableNameErrors(`${path}[${at}].name`, name);
    const from = variable['valueFrom'] as Readonly<Record<string, JsonObject | undefined>> | undefined;
    if (from === undefined) return errors;
    const field = `${path}[${at}].valueFrom`;
    errors.push(
      ...fieldRefErrors(`${field}.fieldRef`, from['fieldRef'], variableFields),
      ...resourceRefErrors(`${field}.resourceFieldRef`, from['resourceFieldRef'], false),
      ...['configMapKeyRef', 'secretKeyRef'].flatMap((kind) => keyRefErrors(`${field}.${kind}`, from[kind])),
    );
    const sources = Object.keys(from).length;
    if (sources === 0) {
      const rule = 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`';
      errors.push(invalidField(field, '', rule));
    } else if (textAt(variable, ['value']) !== '') {
      errors.push(invalidField(field, '', 'may not be specified when `value` is not empty'));
    } else if (sources > 1) {
      errors.push(invalidField(field, '', 'may not have more than one field specified at a time'));
    }
    return errors;
  });
}

/** @see kubernetes pkg/apis/core/validation, ValidateEnvFrom */
function envFromErrors(path: string, sources: readonly JsonObject[]): FieldError[] {
  return sources.flatMap((source, at) => {
    const prefix = textAt(source, ['prefix']);
    const errors = prefix === '' ? [] : variableNameErrors(`${path}[${at}].prefix`, prefix);
    const given = ['configMapRef', 'secretRef'].filter((kind) => source[kind] !== undefined);
    for (const kind of given) {
      const field = `${path}[${at}].${kind}.name`;
      const name = textAt(source, [kind, 'name']);
      errors.push(...(name === '' ? [requiredField(field)] : faultsOf(field, name, dnsSubdomainFaults(name))));
    }
    // Upstream leaves the index out there.
    if (given.length === 0) errors.push(invalidField(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    if (given.length > 1) errors.push(invalidField(path, '', 'may not have more than one field specified at a time'));
    return errors;
  });
}
