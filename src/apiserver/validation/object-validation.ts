import { isIP } from 'node:net';
import { type FieldError, goTexts, invalidField, invalidShown } from '../api-error.ts';
import { type ApiObject, objectsAt, textAt, valueAt } from '../api-object.ts';
import { taintErrors } from './taint-validation.ts';

/** @see kubernetes pkg/apis/core/validation, ValidateNode */
export function nodeErrors(node: ApiObject): FieldError[] {
  const single = textAt(node, ['spec', 'podCIDR']);
  const list = (valueAt(node, ['spec', 'podCIDRs']) ?? []) as readonly string[];
  const ranges = list.length === 0 && single !== '' ? [single] : list;
  const families = new Set(ranges.map(familyOf));
  return [
    ...taintErrors(objectsAt(node, ['spec', 'taints'])),
    ...ranges.flatMap((range, at) =>
      familyOf(range) === 0
        ? [
            invalidField(
              `spec.podCIDRs[${at}]`,
              range,
              'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
            ),
          ]
        : [],
    ),
    ...(ranges.length > families.size
      ? [invalidShown('spec.podCIDRs', goTexts(ranges), 'may specify no more than one CIDR for each IP family')]
      : []),
  ];
}

/** 4 or 6; 0 for what is no range of addresses. */
function familyOf(range: string): number {
  const [, address = '', bits = ''] = /^(.*)\/(\d{1,3})$/.exec(range) ?? [];
  const family = isIP(address);
  return Number(bits) > (family === 4 ? 32 : 128) ? 0 : family;
}

/** @see kubernetes pkg/apis/coordination/validation, ValidateLeaseSpec */
export function leaseErrors(lease: ApiObject): FieldError[] {
  const [seconds, transitions] = ['leaseDurationSeconds', 'leaseTransitions'].map((field) =>
    valueAt(lease, ['spec', field]),
  );
  return [
    ...(seconds !== undefined && Number(seconds) <= 0
      ? [invalidField('spec.leaseDurationSeconds', seconds, 'must be greater than 0')]
      : []),
    ...(transitions !== undefined && Number(transitions) < 0
      ? [invalidField('spec.leaseTransitions', transitions, 'must be greater than or equal to 0')]
      : []),
  ];
}

/** @see kubernetes pkg/apis/core/validation, legacyValidateEvent */
export function eventErrors(event: ApiObject): FieldError[] {
  const home = event.metadata.namespace ?? '';
  const place = textAt(event, ['involvedObject', 'namespace']);
  const rule = 'does not match event.namespace';
  // Objects of no namespace have their events in default.
  const isRight = place === '' ? home === 'default' : place === home;
  return isRight ? [] : [invalidField('involvedObject.namespace', place, rule)];
}
