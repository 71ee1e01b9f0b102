import type { JsonObject } from '../../common/json-object.ts';
import {
  addressErrors,
  choiceErrors,
  duplicateField,
  type FieldError,
  forbiddenField,
  goTexts,
  invalidField,
  invalidShown,
  requiredField,
} from '../api-error.ts';
import { type ApiObject, objectsAt, textAt, valueAt } from '../api-object.ts';
import { dnsLabelFaults, dnsSubdomainFaults, faultsOf, labelErrors, qualifiedNameFaults } from '../object-names.ts';
import { affinityErrors } from './affinity-validation.ts';
import { amountErrors } from './amount-validation.ts';
import { podAnnotationErrors } from './annotation-validation.ts';
import { containerListErrors } from './container-validation.ts';
import { podSecurityErrors } from './security-validation.ts';
import { spreadErrors } from './spread-validation.ts';
import { systemErrors } from './system-validation.ts';
import { tolerationErrors } from './taint-validation.ts';
import { volumeErrors } from './volume-validation.ts';

/*
 * The rules of pods, with upstream's texts and in its order: of what podwire runs or shows. What it hands on untouched,
 * such as volumes of other systems, is checked by type alone.
 */

const MAX_INT32 = 2_147_483_647;

/** How much a resolver reads. */
const MAX_NAME_SERVERS = 3;
const MAX_SEARCH_DOMAINS = 32;
const MAX_SEARCH_CHARS = 2048;

/** @see kubernetes pkg/apis/core/validation, ValidatePodSpec */
export function podErrors(pod: ApiObject): FieldError[] {
  const { spec } = pod as { readonly spec?: JsonObject };
  return [
    ...podAnnotationErrors(pod),
    ...volumeErrors(objectsAt(spec, ['volumes'])),
    ...containerListErrors(spec),
    ...choiceErrors('spec.restartPolicy', textAt(spec, ['restartPolicy']), ['Always', 'OnFailure', 'Never']),
    ...choiceErrors('spec.dnsPolicy', textAt(spec, ['dnsPolicy']), [
      'ClusterFirstWithHostNet',
      'ClusterFirst',
      'Default',
      'None',
    ]),
    ...labelErrors('spec.nodeSelector', (spec?.['nodeSelector'] ?? {}) as Record<string, string>),
    ...podSecurityErrors(spec),
    ...affinityErrors(spec?.['affinity']),
    ...resolverErrors(spec),
    ...gateErrors(spec),
    ...spreadErrors(objectsAt(spec, ['topologySpreadConstraints'])),
    ...nameErrors(spec, ['serviceAccountName', 'nodeName'], dnsSubdomainFaults),
    ...deadlineErrors(spec),
    ...nameErrors(spec, ['hostname', 'subdomain'], dnsLabelFaults),
    ...tolerationErrors(objectsAt(spec, ['tolerations'])),
    ...hostAliasErrors(objectsAt(spec, ['hostAliases'])),
    ...amountErrors('spec.overhead.limits', (spec?.['overhead'] ?? {}) as Record<string, string>),
    ...systemErrors(spec),
  ];
}

/** What holds of a new pod alone. */
export function newPodErrors(pod: ApiObject): FieldError[] {
  const isGated = objectsAt(pod, ['spec', 'schedulingGates']).length > 0;
  return [
    ...(objectsAt(pod, ['spec', 'ephemeralContainers']).length > 0
      ? [forbiddenField('spec.ephemeralContainers', 'cannot be set on create')]
      : []),
    ...(isGated && textAt(pod, ['spec', 'nodeName']) !== ''
      ? [forbiddenField('spec.nodeName', 'cannot be set until all schedulingGates have been cleared')]
      : []),
  ];
}

/** @see kubernetes pkg/apis/core/validation, validatePodDNSConfig */
function resolverErrors(spec: JsonObject | undefined): FieldError[] {
  const path = 'spec.dnsConfig';
  const isAlone = textAt(spec, ['dnsPolicy']) === 'None';
  const config = spec?.['dnsConfig'];
  if (config === undefined) {
    return isAlone ? [requiredField(path, 'must provide `dnsConfig` when `dnsPolicy` is None')] : [];
  }
  const servers = (valueAt(config, ['nameservers']) ?? []) as readonly string[];
  const domains = (valueAt(config, ['searches']) ?? []) as readonly string[];
  const tooMany = (field: string, texts: readonly string[], rule: string): FieldError =>
    invalidShown(`${path}.${field}`, goTexts(texts), `must not have more than ${rule}`);
  return [
    ...(isAlone && servers.length === 0
      ? [requiredField(`${path}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None')]
      : []),
    ...(servers.length > MAX_NAME_SERVERS ? [tooMany('nameservers', servers, `${MAX_NAME_SERVERS} nameservers`)] : []),
    ...servers.flatMap((server, at) => addressErrors(`${path}.nameservers[${at}]`, server)),
    ...(domains.length > MAX_SEARCH_DOMAINS
      ? [tooMany('searches', domains, `${MAX_SEARCH_DOMAINS} search paths`)]
      : []),
    ...(domains.join(' ').length > MAX_SEARCH_CHARS
      ? [tooMany('searches', domains, `${MAX_SEARCH_CHARS} characters (including spaces) in the search list`)]
      : []),
    ...domains
      .map((domain) => domain.replace(/\.$/, ''))
      .flatMap((domain, at) => faultsOf(`${path}.searches[${at}]`, domain, dnsSubdomainFaults(domain))),
    ...objectsAt(config, ['options']).flatMap((option, at) =>
      textAt(option, ['name']) === '' ? [requiredField(`${path}.options[${at}]`, 'must not be empty')] : [],
    ),
  ];
}

/** What a pod waits for before it is ready, or before it gets a node. */
function gateErrors(spec: JsonObject | undefined): FieldError[] {
  const seen = new Set<string>();
  return [
    ...objectsAt(spec, ['readinessGates']).flatMap((gate, at) => {
      const type = textAt(gate, ['conditionType']);
      return faultsOf(`spec.readinessGates[${at}].conditionType`, type, qualifiedNameFaults(type));
    }),
    ...objectsAt(spec, ['schedulingGates']).flatMap((gate, at) => {
      const name = textAt(gate, ['name']);
      const isTwice = seen.has(name);
      seen.add(name);
      return [
        ...faultsOf(`spec.schedulingGates[${at}]`, name, qualifiedNameFaults(name)),
        ...(isTwice ? [duplicateField(`spec.schedulingGates[${at}]`, name)] : []),
      ];
    }),
  ];
}

function nameErrors(
  spec: JsonObject | undefined,
  fields: readonly string[],
  faults: (name: string) => readonly string[],
): FieldError[] {
  return fields.flatMap((field) => {
    const value = textAt(spec, [field]);
    return value === '' ? [] : faultsOf(`spec.${field}`, value, faults(value));
  });
}

function deadlineErrors(spec: JsonObject | undefined): FieldError[] {
  const deadline = spec?.['activeDeadlineSeconds'];
  if (deadline === undefined || (Number(deadline) >= 1 && Number(deadline) <= MAX_INT32)) return [];
  return [invalidField('spec.activeDeadlineSeconds', deadline, `must be between 1 and ${MAX_INT32}, inclusive`)];
}

function hostAliasErrors(aliases: readonly JsonObject[]): FieldError[] {
  return aliases.flatMap((alias, at) => {
    const path = `spec.hostAliases[${at}]`;
    const names = (alias['hostnames'] ?? []) as readonly string[];
    return [
      ...addressErrors(`${path}.ip`, textAt(alias, ['ip'])),
      ...names.flatMap((name, index) => faultsOf(`${path}.hostnames[${index}]`, name, dnsSubdomainFaults(name))),
    ];
  });
}
