import type { JsonObject } from '../../common/json-object.ts';
import { parseQuantity } from '../../kubeapi/index.ts';
import { type FieldError, invalidField, requiredField, unsupportedField } from '../api-error.ts';
import { textAt } from '../api-object.ts';
import { dnsSubdomainFaults, faultsOf, qualifiedNameFaults } from '../object-names.ts';

/** What variables may take from the pod. */
export const variableFields: readonly string[] = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

/** What files may take from the pod. */
export const fileFields: readonly string[] = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];

/** Fields that upstream knows by name, whether or not they may be taken. */
const knownFields = [...variableFields, ...fileFields, 'spec.restartPolicy', 'spec.schedulerName', 'status.phase'];

/** @see kubernetes pkg/apis/core/validation, validateObjectFieldSelector */
export function fieldRefErrors(path: string, ref: JsonObject | undefined, allowed: readonly string[]): FieldError[] {
  if (ref === undefined) return [];
  const fieldPath = textAt(ref, ['fieldPath']);
  if (fieldPath === '') return [requiredField(`${path}.fieldPath`)];
  const unreadable = (why: string): FieldError[] => [
    invalidField(`${path}.fieldPath`, fieldPath, `error converting fieldPath: ${why}`),
  ];
  const version = textAt(ref, ['apiVersion']);
  if (version !== '' && version !== 'v1') return unreadable(`unsupported pod version: ${version}`);
  const [, map = '', key = ''] = /^(.*)\['(.*)'\]$/.exec(fieldPath) ?? [];
  if (map === 'metadata.annotations') return faultsOf(path, key, qualifiedNameFaults(key.toLowerCase()));
  if (map === 'metadata.labels') return faultsOf(path, key, qualifiedNameFaults(key));
  if (map !== '') return unreadable(`field label does not support subscript: ${fieldPath}`);
  if (allowed.includes(fieldPath)) return [];
  if (knownFields.includes(fieldPath)) return [unsupportedField(`${path}.fieldPath`, fieldPath, allowed)];
  return unreadable(`field label not supported: ${fieldPath}`);
}

const amounts = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];

const divisors: Readonly<Record<string, { readonly units: readonly string[]; readonly text: string }>> = {
  cpu: unitsOf('1m', '1'),
  memory: unitsOf('1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'),
  'ephemeral-storage': unitsOf('1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'),
};

function unitsOf(...units: string[]): { readonly units: readonly string[]; readonly text: string } {
  return { units, text: units.length === 2 ? units.join(' and ') : units.join(', ') };
}

/** @param isFile files name the container, variables are of their own */
export function resourceRefErrors(path: string, ref: JsonObject | undefined, isFile: boolean): FieldError[] {
  if (ref === undefined) return [];
  const resource = textAt(ref, ['resource']);
  if (isFile && textAt(ref, ['containerName']) === '') return [requiredField(`${path}.containerName`)];
  if (resource === '') return [requiredField(`${path}.resource`)];
  const [, name = ''] = /^(?:limits|requests)\.(.*)$/.exec(resource) ?? [];
  const isHugePages = name.startsWith('hugepages-');
  if (!amounts.includes(resource) && !isHugePages) return [unsupportedField(`${path}.resource`, resource, amounts)];
  const divisor = parseQuantity(textAt(ref, ['divisor']) || '0');
  const allowed = divisors[isHugePages ? 'memory' : name];
  if (divisor === 0 || allowed?.units.some((unit) => parseQuantity(unit) === divisor) === true) return [];
  const rule = `only divisor's values ${allowed?.text} are supported with the ${name} resource`;
  return [invalidField(`${path}.divisor`, resource, rule)];
}

/** A key of a config map or secret, by the name of the object. */
export function keyRefErrors(path: string, ref: JsonObject | undefined): FieldError[] {
  if (ref === undefined) return [];
  const name = textAt(ref, ['name']);
  const key = textAt(ref, ['key']);
  return [
    ...faultsOf(`${path}.name`, name, dnsSubdomainFaults(name)),
    ...(key === '' ? [requiredField(`${path}.key`)] : faultsOf(`${path}.key`, key, configKeyFaults(key))),
  ];
}

function configKeyFaults(key: string): string[] {
  const rule =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  " +
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
  return [
    ...(key.length > 253 ? ['must be no more than 253 characters'] : []),
    ...(/^[-._a-zA-Z0-9]+$/.test(key) ? [] : [rule]),
    ...(key === '.' || key === '..'
      ? [`must not be '${key}'`]
      : key.startsWith('..')
        ? ["must not start with '..'"]
        : []),
  ];
}
