import type { JsonObject } from '../../common/json-object.ts';
import {
  type FieldError,
  forbiddenField,
  invalidField,
  missingField,
  requiredField,
  unsupportedField,
} from '../api-error.ts';
import { objectsAt, textAt, valueAt } from '../api-object.ts';
import { descendingPathErrors } from './volume-paths.ts';

/** The volumes of a pod by name, of several the first. */
export type Volumes = ReadonlyMap<unknown, JsonObject>;

const propagations = ['Bidirectional', 'HostToContainer', 'None'];

const recursions = ['Disabled', 'Enabled', 'IfPossible'];

/** @see kubernetes pkg/apis/core/validation, ValidateVolumeMounts */
export function mountErrors(path: string, container: JsonObject, volumes: Volumes): FieldError[] {
  const [deviceNames, devicePaths] = textsOf(container, 'volumeDevices', ['name', 'devicePath']);
  const places = new Set<string>();
  return objectsAt(container, ['volumeMounts']).flatMap((mount, at) => {
    const errors: FieldError[] = [];
    const [name = '', mountPath = '', subPath = '', subPathExpr = ''] = [
      'name',
      'mountPath',
      'subPath',
      'subPathExpr',
    ].map((field) => textAt(mount, [field]));
    if (name === '') errors.push(requiredField(`${path}[${at}].name`));
    if (!volumes.has(name)) errors.push(missingField(`${path}[${at}].name`, name));
    if (mountPath === '') errors.push(requiredField(`${path}[${at}].mountPath`));
    if (places.has(mountPath)) errors.push(invalidField(`${path}[${at}].mountPath`, mountPath, 'must be unique'));
    places.add(mountPath);
    if (deviceNames?.has(name)) {
      errors.push(invalidField(`${path}[${at}].name`, name, 'must not already exist in volumeDevices'));
    }
    if (devicePaths?.has(mountPath)) {
      const rule = 'must not already exist as a path in volumeDevices';
      errors.push(invalidField(`${path}[${at}].mountPath`, mountPath, rule));
    }
    // Upstream leaves the index out from here on.
    errors.push(...descendingPathErrors(`${path}.subPath`, subPath));
    if (subPath !== '' && subPathExpr !== '') {
      const rule = 'subPathExpr and subPath are mutually exclusive';
      errors.push(invalidField(`${path}[${at}].subPathExpr`, subPathExpr, rule));
    }
    errors.push(...descendingPathErrors(`${path}.subPathExpr`, subPathExpr));
    return [...errors, ...propagationErrors(path, mount, container), ...recursionErrors(path, mount)];
  });
}

function propagationErrors(path: string, mount: JsonObject, container: JsonObject): FieldError[] {
  const propagation = textAt(mount, ['mountPropagation']);
  const field = `${path}.mountPropagation`;
  if (propagation === '') return [];
  if (!propagations.includes(propagation)) return [unsupportedField(field, propagation, propagations)];
  if (propagation !== 'Bidirectional' || valueAt(container, ['securityContext', 'privileged']) === true) return [];
  return [forbiddenField(field, 'Bidirectional mount propagation is available only to privileged containers')];
}

/** @see kubernetes pkg/apis/core/validation, validateMountRecursiveReadOnly */
function recursionErrors(path: string, mount: JsonObject): FieldError[] {
  const { recursiveReadOnly: mode = 'Disabled', mountPropagation = 'None', readOnly } = mount;
  const field = `${path}.recursiveReadOnly`;
  if (mode === 'Disabled') return [];
  if (!recursions.some((one) => one === mode)) return [unsupportedField(field, mode, recursions)];
  return [
    ...(readOnly === true ? [] : [forbiddenField(field, 'may only be specified when readOnly is true')]),
    ...(mountPropagation === 'None'
      ? []
      : [forbiddenField(field, 'may only be specified when mountPropagation is None or not specified')]),
  ];
}

/** @see kubernetes pkg/apis/core/validation, ValidateVolumeDevices */
export function deviceErrors(path: string, container: JsonObject, volumes: Volumes): FieldError[] {
  const [mountNames, mountPaths] = textsOf(container, 'volumeMounts', ['name', 'mountPath']);
  const names = new Set<string>();
  const places = new Set<string>();
  return objectsAt(container, ['volumeDevices']).flatMap((device, at) => {
    const errors: FieldError[] = [];
    const [name = '', place = ''] = ['name', 'devicePath'].map((field) => textAt(device, [field]));
    const refuse = (field: string, value: string, rule: string): void => {
      errors.push(invalidField(`${path}[${at}].${field}`, value, rule));
    };
    const volume = volumes.get(name);
    if (name === '') errors.push(requiredField(`${path}[${at}].name`));
    if (names.has(name)) refuse('name', name, 'must be unique');
    if (volume === undefined) errors.push(missingField(`${path}[${at}].name`, name));
    else if (volume['persistentVolumeClaim'] === undefined && volume['ephemeral'] === undefined) {
      refuse('name', name, 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode');
    }
    if (place === '') errors.push(requiredField(`${path}[${at}].devicePath`));
    if (places.has(place)) refuse('devicePath', place, 'must be unique');
    if (place.split('/').includes('..')) refuse('devicePath', place, "can not contain backsteps ('..')");
    else places.add(place);
    if (mountNames?.has(name)) {
      refuse('name', name, 'must not already exist in volumeMounts');
    }
    if (mountPaths?.has(place)) {
      refuse('devicePath', place, 'must not already exist as a path in volumeMounts');
    }
    if (name !== '') names.add(name);
    return errors;
  });
}

/** What the objects of a list have in each of the fields. */
function textsOf(container: JsonObject, list: string, fields: readonly string[]): readonly ReadonlySet<string>[] {
  const objects = objectsAt(container, [list]);
  return fields.map((field) => new Set(objects.map((one) => textAt(one, [field]))));
}
