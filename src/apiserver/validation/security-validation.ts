import type { JsonObject } from '../../common/json-object.ts';
import {
  choiceErrors,
  duplicateField,
  type FieldError,
  invalidField,
  requiredField,
  tooLongField,
  unsupportedField,
} from '../api-error.ts';
import { objectsAt, textAt, valueAt } from '../api-object.ts';
import { descendingPathErrors } from './volume-paths.ts';

/** Users and groups are 31 bits wide. */
const MAX_ID = 2_147_483_647;

const SYSCTL_FORM = String.raw`^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`;

const sysctlRule = new RegExp(SYSCTL_FORM);

const ipcSysctls = /^kernel\.(?:sem|msg(?:max|mnb|mni)?|shm(?:all|max|mni|_rmid_forced)?)$|^fs\.mqueue\./;

const groupsPolicies = ['Merge', 'Strict'];

/** @see kubernetes pkg/apis/core/validation, validatePodSpecSecurityContext */
export function podSecurityErrors(spec: JsonObject | undefined): FieldError[] {
  const path = 'spec.securityContext';
  const context = (spec?.['securityContext'] ?? {}) as JsonObject;
  const groups = (context['supplementalGroups'] ?? []) as readonly unknown[];
  const groupsPolicy = context['supplementalGroupsPolicy'];
  return [
    ...['fsGroup', 'runAsUser', 'runAsGroup'].flatMap((field) => idErrors(`${path}.${field}`, context[field])),
    ...groups.flatMap((group, at) => idErrors(`${path}.supplementalGroups[${at}]`, group)),
    ...(spec?.['shareProcessNamespace'] === true && spec['hostPID'] === true
      ? [
          invalidField(
            `${path}.shareProcessNamespace`,
            true,
            'ShareProcessNamespace and HostPID cannot both be enabled',
          ),
        ]
      : []),
    ...sysctlErrors(`${path}.sysctls`, spec),
    ...(context['fsGroupChangePolicy'] === undefined
      ? []
      : choiceErrors(`${path}.fsGroupChangePolicy`, textAt(context, ['fsGroupChangePolicy']), [
          'Always',
          'OnRootMismatch',
        ])),
    ...seccompErrors(`${path}.seccompProfile`, context['seccompProfile'] as JsonObject | undefined),
    ...apparmorErrors(`${path}.appArmorProfile`, context['appArmorProfile'] as JsonObject | undefined),
    ...(groupsPolicy === undefined || groupsPolicies.some((one) => one === groupsPolicy)
      ? []
      : [unsupportedField(`${path}.supplementalGroupsPolicy`, groupsPolicy, groupsPolicies)]),
  ];
}

/** @see kubernetes pkg/apis/core/validation, ValidateSecurityContext */
export function securityErrors(path: string, container: JsonObject): FieldError[] {
  const context = container['securityContext'] as JsonObject | undefined;
  if (context === undefined) return [];
  const added = (valueAt(context, ['capabilities', 'add']) ?? []) as readonly unknown[];
  const mayNotRise = context['allowPrivilegeEscalation'] === false;
  // There upstream prints the value as Go source with addresses in memory: the rule alone is its own.
  const rising = (what: string): FieldError =>
    invalidField(path, context, `cannot set \`allowPrivilegeEscalation\` to false and ${what}`);
  return [
    ...['runAsUser', 'runAsGroup'].flatMap((field) => idErrors(`${path}.${field}`, context[field])),
    ...seccompErrors(`${path}.seccompProfile`, context['seccompProfile'] as JsonObject | undefined),
    ...(mayNotRise && context['privileged'] === true ? [rising('`privileged` to true')] : []),
    // Upstream looks for the name with the prefix alone.
    ...(mayNotRise && added.includes('CAP_SYS_ADMIN') ? [rising('`capabilities.Add` CAP_SYS_ADMIN')] : []),
    ...apparmorErrors(`${path}.appArmorProfile`, context['appArmorProfile'] as JsonObject | undefined),
  ];
}

function idErrors(field: string, id: unknown): FieldError[] {
  if (id === undefined || (Number(id) >= 0 && Number(id) <= MAX_ID)) return [];
  return [invalidField(field, id, `must be between 0 and ${MAX_ID}, inclusive`)];
}

function sysctlErrors(path: string, spec: JsonObject | undefined): FieldError[] {
  const seen = new Set<string>();
  return objectsAt(spec, ['securityContext', 'sysctls']).flatMap((sysctl, at) => {
    const field = `${path}[${at}].name`;
    const name = textAt(sysctl, ['name']);
    const dotted = name.replaceAll('/', '.');
    const isTwice = seen.has(name);
    seen.add(name);
    if (name === '') return [requiredField(field)];
    if (name.length > 253 || !sysctlRule.test(name)) {
      return [invalidField(field, name, `must have at most 253 characters and match regex ${SYSCTL_FORM}`)];
    }
    if (isTwice) return [duplicateField(field, name)];
    const owner = dotted.startsWith('net.') ? 'hostNetwork' : ipcSysctls.test(dotted) ? 'hostIPC' : undefined;
    if (owner === undefined || spec?.[owner] !== true) return [];
    return [invalidField(field, name, `may not be specified when '${owner}' is true`)];
  });
}

const seccompTypes = ['Localhost', 'RuntimeDefault', 'Unconfined'];

function seccompErrors(path: string, profile: JsonObject | undefined): FieldError[] {
  if (profile === undefined) return [];
  const type = textAt(profile, ['type']);
  const file = textAt(profile, ['localhostProfile']);
  if (type === '') return [requiredField(`${path}.type`, 'type is required when seccompProfile is set')];
  if (!seccompTypes.includes(type)) return [unsupportedField(`${path}.type`, type, seccompTypes)];
  if (type === 'Localhost' && file === '') {
    return [requiredField(`${path}.localhostProfile`, 'must be set when seccomp type is Localhost')];
  }
  if (type === 'Localhost') return descendingPathErrors(`${path}.localhostProfile`, file);
  // There upstream prints the profile as Go source.
  if (file !== '') {
    return [invalidField(`${path}.localhostProfile`, profile, 'can only be set when seccomp type is Localhost')];
  }
  return [];
}

/** Longer than any path may be. */
const MAX_PROFILE_BYTES = 4095;

/** @see kubernetes pkg/apis/core/validation, ValidateAppArmorProfileField */
function apparmorErrors(path: string, profile: JsonObject | undefined): FieldError[] {
  if (profile === undefined) return [];
  const type = textAt(profile, ['type']);
  const file = profile['localhostProfile'];
  const field = `${path}.localhostProfile`;
  if (type === '') return [requiredField(`${path}.type`, 'type is required when appArmorProfile is set')];
  if (!seccompTypes.includes(type)) return [unsupportedField(`${path}.type`, type, seccompTypes)];
  if (type !== 'Localhost') {
    return file === undefined ? [] : [invalidField(field, file, 'can only be set when AppArmor type is Localhost')];
  }
  const text = textAt(profile, ['localhostProfile']);
  const errors: FieldError[] = [];
  if (text !== text.trim()) errors.push(invalidField(field, text, 'must not be padded with whitespace'));
  else if (text === '') errors.push(requiredField(field, 'must be set when AppArmor type is Localhost'));
  if (Buffer.byteLength(text) > MAX_PROFILE_BYTES) errors.push(tooLongField(field, MAX_PROFILE_BYTES));
  return errors;
}
