import { describe, expect, it } from 'vitest';
import type { ApiObject } from '../api-object.ts';
import { podStatusErrors } from './pod-status-validation.ts';

const podOf = (status: object): ApiObject => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, status });

const faultsOf = (status: object, before: object = {}): string[] =>
  podStatusErrors(podOf(status), podOf(before)).map(({ field, message }) => `${field}: ${message}`);

const badAddress =
  'status.podIPs[0]: Invalid value: "bad": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

describe('the status of a pod', () => {
  it.each([
    [{ podIP: 'bad' }, badAddress],
    [{ podIPs: [{ ip: 'bad' }] }, badAddress],
    [
      { podIP: '1.1.1.1', podIPs: [{ ip: '1.1.1.1' }, { ip: '1.1.1.2' }] },
      'status.podIPs: Invalid value: []core.PodIP{core.PodIP{IP:"1.1.1.1"}, core.PodIP{IP:"1.1.1.2"}}: may specify no more than one IP for each IP family',
    ],
  ])('is not %j', (status, fault) => {
    expect(faultsOf(status)).toEqual([fault]);
  });

  it('has an address of each family, and is not judged again', () => {
    expect(faultsOf({ podIP: '1.1.1.1', podIPs: [{ ip: '1.1.1.1' }, { ip: 'fd00::1' }] })).toEqual([]);
    expect(faultsOf({ podIP: 'bad' }, { podIP: 'bad' })).toEqual([]);
  });
});
