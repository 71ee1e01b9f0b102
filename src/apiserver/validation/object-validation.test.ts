import { describe, expect, it } from 'vitest';
import type { ApiObject } from '../api-object.ts';
import { metadataErrors } from '../object-names.ts';
import { eventErrors, leaseErrors, nodeErrors } from './object-validation.ts';

const objectOf = (fields: object, metadata: object = {}): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Any',
  ...fields,
  metadata: { name: 'o', ...metadata },
});

describe('the metadata of an object', () => {
  const faultsOf = (metadata: object, isNamedByLabel = false): string[] =>
    metadataErrors(objectOf({}, metadata), { isNamedByLabel, isCore: true }).map(
      ({ field, message }) => `${field}: ${message}`,
    );

  it('has finalizers with a domain', () => {
    expect(faultsOf({ finalizers: ['a', 'example.com/a', 'kubernetes'] })).toEqual([
      'metadata.finalizers[0]: Invalid value: "a": name is neither a standard finalizer name nor is it fully qualified',
    ]);
  });

  it('has owners that are named in full, and one that controls it', () => {
    const owner = { apiVersion: 'v1', kind: 'A', name: 'a', uid: 'u', controller: true };
    expect(faultsOf({ ownerReferences: [{}] })).toEqual([
      'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty',
      'metadata.ownerReferences.kind: Invalid value: "": kind must not be empty',
      'metadata.ownerReferences.name: Invalid value: "": name must not be empty',
      'metadata.ownerReferences.uid: Invalid value: "": uid must not be empty',
    ]);
    expect(faultsOf({ ownerReferences: [owner, { ...owner, name: 'b' }] })).toEqual([
      expect.stringMatching(
        /Only one reference can have Controller set to true. Found "true" in references for A\/a and A\/b$/,
      ),
    ]);
    expect(faultsOf({ ownerReferences: [owner] })).toEqual([]);
  });

  it('has a prefix that names can begin with', () => {
    expect(faultsOf({ generateName: 'Abc_' })).toEqual([
      expect.stringMatching(/^metadata.generateName: Invalid value: "Abc_": a lowercase RFC 1123 subdomain/),
    ]);
    expect(faultsOf({ generateName: 'abc-' })).toEqual([]);
  });

  it('has no dots in a name that is a label', () => {
    expect(faultsOf({ name: 'a.b' }, true)).toEqual(['metadata.name: Invalid value: "a.b": must not contain dots']);
  });
});

describe('the rules of other objects', () => {
  it('want leases that last', () => {
    expect(leaseErrors(objectOf({ spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } }))).toEqual([
      expect.objectContaining({ message: 'Invalid value: 0: must be greater than 0' }),
      expect.objectContaining({ message: 'Invalid value: -1: must be greater than or equal to 0' }),
    ]);
    expect(leaseErrors(objectOf({ spec: { leaseDurationSeconds: 40, leaseTransitions: 0 } }))).toEqual([]);
  });

  it('want events beside their objects', () => {
    const event = (involvedObject: object, namespace: string): unknown =>
      eventErrors(objectOf({ involvedObject }, { namespace }));
    const fault = { field: 'involvedObject.namespace', reason: 'FieldValueInvalid' };
    expect(event({ namespace: 'other' }, 'default')).toEqual([
      { ...fault, message: 'Invalid value: "other": does not match event.namespace' },
    ]);
    expect(event({}, 'other')).toEqual([{ ...fault, message: 'Invalid value: "": does not match event.namespace' }]);
    expect(event({}, 'default')).toEqual([]);
    expect(event({ namespace: 'other' }, 'other')).toEqual([]);
  });

  it('want ranges of addresses for a node, one of a family', () => {
    const faults = (spec: object): string[] => nodeErrors(objectOf({ spec })).map(({ message }) => message);
    expect(faults({ podCIDR: 'x' })).toEqual([
      'Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
    ]);
    expect(faults({ podCIDRs: ['10.1.0.0/24', '10.2.0.0/24'] })).toEqual([
      'Invalid value: []string{"10.1.0.0/24", "10.2.0.0/24"}: may specify no more than one CIDR for each IP family',
    ]);
    expect(faults({ podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24', 'fd00::/64'] })).toEqual([]);
  });
});
