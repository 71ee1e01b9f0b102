import { isIP } from 'node:net';
import { addressErrors, type FieldError, invalidField, invalidShown } from '../api-error.ts';
import { type ApiObject, isSameJson, objectsAt, textAt } from '../api-object.ts';
import { dnsSubdomainFaults, faultsOf } from '../object-names.ts';

/** What a kubelet may say of a pod. @see kubernetes pkg/apis/core/validation, ValidatePodStatusUpdate */
export function podStatusErrors(next: ApiObject, current: ApiObject): FieldError[] {
  const status = next['status'];
  if (isSameJson(status, current['status'])) return [];
  const first = textAt(status, ['podIP']);
  const listed = objectsAt(status, ['podIPs']).map((one) => textAt(one, ['ip']));
  // The single address goes before the list.
  const addresses = first === '' ? listed : [first, ...listed.slice(1)];
  const families = new Set(addresses.map((address) => isIP(address)));
  const node = textAt(status, ['nominatedNodeName']);
  const [qosClass, before] = [status, current['status']].map((one) => textAt(one, ['qosClass']));
  const shown = addresses.map((address) => `core.PodIP{IP:${JSON.stringify(address)}}`).join(', ');
  const familyRule = 'may specify no more than one IP for each IP family';
  return [
    ...(node === '' ? [] : faultsOf('status.nominatedNodeName', node, dnsSubdomainFaults(node))),
    // Upstream gives each pod one from the beginning.
    ...(before === '' || qosClass === before ? [] : [invalidField('status.qosClass', qosClass, 'field is immutable')]),
    ...addresses.flatMap((address, at) => addressErrors(`status.podIPs[${at}]`, address)),
    ...(addresses.length > families.size ? [invalidShown('status.podIPs', `[]core.PodIP{${shown}}`, familyRule)] : []),
  ];
}
