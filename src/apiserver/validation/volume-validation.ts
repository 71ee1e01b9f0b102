import { isJsonObject, type JsonObject } from '../../common/json-object.ts';
import {
  duplicateField,
  type FieldError,
  forbiddenField,
  invalidField,
  requiredField,
  unsupportedField,
} from '../api-error.ts';
import { objectsAt, textAt } from '../api-object.ts';
import { dnsLabelFaults, faultsOf } from '../object-names.ts';
import { fieldRefErrors, fileFields, resourceRefErrors } from './field-reference-validation.ts';
import { writtenPathErrors } from './volume-paths.ts';

/** The shortest and the longest life of a token, in seconds. */
const MIN_TOKEN_SECONDS = 600;
const MAX_TOKEN_SECONDS = 2 ** 32;

/** In the order in which upstream looks at them; it spells one differently. */
const kinds = ['emptyDir', 'hostPath', 'secret', 'downwardAPI', 'configMap', 'projected'];
const spelling: Readonly<Record<string, string>> = { downwardAPI: 'downwarAPI' };

/** @see kubernetes pkg/apis/core/validation, ValidateVolumes */
export function volumeErrors(volumes: readonly JsonObject[]): FieldError[] {
  const names = new Set<string>();
  return volumes.flatMap((volume, at) => {
    const path = `spec.volumes[${at}]`;
    const fields = Object.keys(volume).filter((field) => field !== 'name');
    const [first, ...more] = [
      ...kinds.filter((kind) => fields.includes(kind)),
      ...fields.filter((field) => !kinds.includes(field)),
    ];
    const name = textAt(volume, ['name']);
    const errors = [
      ...(first === undefined
        ? [requiredField(path, 'must specify a volume type')]
        : sourceErrors(`${path}.${first}`, first, volume[first])),
      ...more.map((field) =>
        forbiddenField(`${path}.${spelling[field] ?? field}`, 'may not specify more than 1 volume type'),
      ),
      ...(name === '' ? [requiredField(`${path}.name`)] : faultsOf(`${path}.name`, name, dnsLabelFaults(name))),
      ...(names.has(name) ? [duplicateField(`${path}.name`, name)] : []),
    ];
    names.add(name);
    return errors;
  });
}

function sourceErrors(path: string, kind: string, source: unknown): FieldError[] {
  if (!isJsonObject(source)) return [];
  switch (kind) {
    case 'emptyDir':
      return textAt(source, ['sizeLimit']).startsWith('-')
        ? [forbiddenField(`${path}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')]
        : [];
    case 'hostPath':
      return hostPathErrors(path, source);
    case 'secret':
      return namedErrors(path, 'secretName', source);
    case 'configMap':
      return namedErrors(path, 'name', source);
    case 'downwardAPI':
      return [...modeErrors(`${path}.defaultMode`, source['defaultMode']), ...downwardErrors(path, source)];
    case 'projected':
      return [...modeErrors(`${path}.defaultMode`, source['defaultMode']), ...projectedErrors(path, source)];
    default:
      return [];
  }
}

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

function hostPathErrors(path: string, source: JsonObject): FieldError[] {
  const place = textAt(source, ['path']);
  if (place === '') return [requiredField(`${path}.path`)];
  const type = textAt(source, ['type']);
  return [
    ...(place.split('/').includes('..') ? [invalidField(`${path}.path`, place, "must not contain '..'")] : []),
    ...(hostPathTypes.includes(type) ? [] : [unsupportedField(`${path}.type`, type, hostPathTypes)]),
  ];
}

/** A volume of a config map or secret. */
function namedErrors(path: string, field: string, source: JsonObject): FieldError[] {
  return [
    ...(textAt(source, [field]) === '' ? [requiredField(`${path}.${field}`)] : []),
    ...modeErrors(`${path}.defaultMode`, source['defaultMode']),
    ...itemErrors(path, source),
  ];
}

function itemErrors(path: string, source: JsonObject): FieldError[] {
  return objectsAt(source, ['items']).flatMap((item, at) => {
    const field = `${path}.items[${at}]`;
    return [
      ...(textAt(item, ['key']) === '' ? [requiredField(`${field}.key`)] : []),
      ...fileErrors(`${field}.path`, item),
      ...modeErrors(`${field}.mode`, item['mode']),
    ];
  });
}

function fileErrors(field: string, file: JsonObject): FieldError[] {
  const path = textAt(file, ['path']);
  return path === '' ? [requiredField(field)] : writtenPathErrors(field, path);
}

/** Upstream leaves the index of the item out. */
function downwardErrors(path: string, source: JsonObject): FieldError[] {
  return objectsAt(source, ['items']).flatMap((item) => {
    const { fieldRef, resourceFieldRef } = item as Readonly<Record<string, JsonObject | undefined>>;
    return [
      ...fileErrors(`${path}.path`, item),
      ...fieldRefErrors(`${path}.fieldRef`, fieldRef, fileFields),
      ...(fieldRef === undefined ? resourceRefErrors(`${path}.resourceFieldRef`, resourceFieldRef, true) : []),
      ...(fieldRef !== undefined && resourceFieldRef !== undefined
        ? [invalidField(path, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously')]
        : []),
      ...(fieldRef === undefined && resourceFieldRef === undefined
        ? [requiredField(path, 'one of fieldRef and resourceFieldRef is required')]
        : []),
      ...modeErrors(`${path}.mode`, item['mode']),
    ];
  });
}

function projectedErrors(path: string, source: JsonObject): FieldError[] {
  const taken = new Set<string>();
  /** The path once more, and what upstream names then. */
  const takenErrors = (file: string, shown: string): FieldError[] => {
    if (file === '') return [];
    const isTaken = taken.has(file);
    taken.add(file);
    return isTaken ? [invalidField(path, shown, 'conflicting duplicate paths')] : [];
  };
  return objectsAt(source, ['sources']).flatMap((one, at) => {
    const errors: FieldError[] = [];
    const field = `${path}.sources[${at}]`;
    for (const kind of ['secret', 'configMap']) {
      const named = one[kind];
      if (!isJsonObject(named)) continue;
      const name = textAt(named, ['name']);
      if (name === '') errors.push(requiredField(`${field}.${kind}.name`));
      errors.push(...itemErrors(`${field}.${kind}`, named));
      for (const item of objectsAt(named, ['items'])) errors.push(...takenErrors(textAt(item, ['path']), name));
    }
    const { downwardAPI, serviceAccountToken } = one;
    if (isJsonObject(downwardAPI)) {
      errors.push(...downwardErrors(`${field}.downwardAPI`, downwardAPI));
      for (const item of objectsAt(downwardAPI, ['items'])) {
        errors.push(...takenErrors(textAt(item, ['path']), textAt(item, ['path'])));
      }
    }
    if (isJsonObject(serviceAccountToken)) {
      errors.push(...tokenErrors(`${field}.serviceAccountToken`, serviceAccountToken));
      // Upstream names the volume, not the source.
      errors.push(...fileErrors(`${path}.path`, serviceAccountToken));
    }
    if (Object.keys(one).length > 1) {
      errors.push(forbiddenField(field, 'may not specify more than 1 volume type per source'));
    }
    return errors;
  });
}

function tokenErrors(path: string, { expirationSeconds: seconds }: JsonObject): FieldError[] {
  const errors = (rule: string): FieldError[] => [invalidField(`${path}.expirationSeconds`, seconds, rule)];
  if (typeof seconds !== 'number') return [];
  if (seconds < MIN_TOKEN_SECONDS) return errors('may not specify a duration less than 10 minutes');
  return seconds > MAX_TOKEN_SECONDS ? errors('may not specify a duration larger than 2^32 seconds') : [];
}

function modeErrors(field: string, mode: unknown): FieldError[] {
  if (typeof mode !== 'number' || (mode >= 0 && mode <= 0o777)) return [];
  return [invalidField(field, mode, 'must be a number between 0 and 0777 (octal), both inclusive')];
}
