import type { JsonObject } from '../../common/json-object.ts';
import { type FieldError, forbiddenField, requiredField, unsupportedField } from '../api-error.ts';
import { objectsAt, textAt, valueAt } from '../api-object.ts';

const LINUX_RULE = 'windows options cannot be set for a linux pod';
const WINDOWS_RULE = 'cannot be set for a windows pod';

/** What only Linux has, in upstream's order. */
const linuxPodFields = [
  'securityContext.appArmorProfile',
  'securityContext.seLinuxOptions',
  'hostUsers',
  'hostPID',
  'hostIPC',
  'securityContext.seccompProfile',
  'securityContext.fsGroup',
  'securityContext.fsGroupChangePolicy',
  'securityContext.sysctls',
  'shareProcessNamespace',
  'securityContext.runAsUser',
  'securityContext.runAsGroup',
  'securityContext.supplementalGroups',
  'securityContext.supplementalGroupsPolicy',
  'securityContext.seLinuxChangePolicy',
];

const linuxContainerFields = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
  'runAsUser',
  'runAsGroup',
];

/** What a pod may not ask of the system that it names. @see kubernetes pkg/apis/core/validation, validateOS */
export function systemErrors(spec: JsonObject | undefined): FieldError[] {
  if (spec?.['os'] === undefined) return [];
  const name = textAt(spec, ['os', 'name']);
  if (name === '') return [requiredField('spec.os.name', 'cannot be empty')];
  if (name === 'linux') {
    const fields = ['securityContext.windowsOptions'];
    return foreignFields(spec, { fields, containerFields: ['windowsOptions'], rule: LINUX_RULE });
  }
  if (name === 'windows') {
    return foreignFields(spec, { fields: linuxPodFields, containerFields: linuxContainerFields, rule: WINDOWS_RULE });
  }
  return [unsupportedField('spec.os', name, ['linux', 'windows'])];
}

interface Foreign {
  readonly fields: readonly string[];
  /** Of a container's security context. */
  readonly containerFields: readonly string[];
  readonly rule: string;
}

function foreignFields(spec: JsonObject, { fields, containerFields, rule }: Foreign): FieldError[] {
  // On these lists false is as good as nothing.
  const isThere = (field: string): boolean => {
    const value = valueAt(spec, field.split('.'));
    return value !== undefined && !(value === false && ['hostPID', 'hostIPC'].includes(field));
  };
  return [
    ...fields.filter(isThere).map((field) => forbiddenField(`spec.${field}`, rule)),
    ...['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) =>
      objectsAt(spec, [list]).flatMap((container, at) =>
        containerFields
          .filter((field) => valueAt(container, ['securityContext', field]) !== undefined)
          .map((field) => forbiddenField(`spec.${list}[${at}].securityContext.${field}`, rule)),
      ),
    ),
  ];
}
