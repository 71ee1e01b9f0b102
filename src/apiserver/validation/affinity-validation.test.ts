import { describe, expect, it } from 'vitest';
import { affinityErrors } from './affinity-validation.ts';
import { spreadErrors } from './spread-validation.ts';

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

const faultsOf = (affinity: object): string[] =>
  affinityErrors(affinity).map(({ field, message }) => `${field.replace('spec.affinity.', '')}: ${message}`);

// The words are a kube-apiserver's: test/interop/pod-answers.test.ts asks one.
describe('the rules of affinity', () => {
  it('want terms and whole requirements of nodes', () => {
    expect(faultsOf({ nodeAffinity: { [REQUIRED]: {} } })).toEqual([
      `nodeAffinity.${REQUIRED}.nodeSelectorTerms: Required value: must have at least one node selector term`,
    ]);
    const matchExpressions = [
      { key: 'a', operator: 'In' },
      { key: 'a', operator: 'Gt', values: ['1', '2'] },
      { key: 'a', operator: 'is' },
      { key: 'a', operator: 'In', values: ['no label'] },
    ];
    const field = `nodeAffinity.${REQUIRED}.nodeSelectorTerms[0].matchExpressions`;
    expect(faultsOf({ nodeAffinity: { [REQUIRED]: { nodeSelectorTerms: [{ matchExpressions }] } } })).toEqual([
      `${field}[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
      `${field}[1].values: Required value: must be specified single value when \`operator\` is 'Lt' or 'Gt'`,
      `${field}[2].operator: Invalid value: "is": not a valid selector operator`,
    ]);
  });

  it('want weights from 1 to 100', () => {
    const podAntiAffinity = { [PREFERRED]: [{ weight: 101, podAffinityTerm: { topologyKey: 'zone' } }] };
    expect(faultsOf({ podAntiAffinity, nodeAffinity: { [PREFERRED]: [{ preference: {} }] } })).toEqual([
      `nodeAffinity.${PREFERRED}[0].weight: Invalid value: 0: must be in the range 1-100`,
      `podAntiAffinity.${PREFERRED}[0].weight: Invalid value: 101: must be in the range 1-100`,
    ]);
  });

  it('want a topology and labels that may be', () => {
    const term = { namespaces: ['a.b'], matchLabelKeys: ['app'], topologyKey: 'zone' };
    const path = `podAffinity.${REQUIRED}[0]`;
    expect(faultsOf({ podAffinity: { [REQUIRED]: [term] } })).toEqual([
      `${path}.namespace: Invalid value: "a.b": must not contain dots`,
      `${path}.matchLabelKeys: Forbidden: must not be specified when labelSelector is not set`,
    ]);
    expect(faultsOf({ podAffinity: { [REQUIRED]: [{}] } })[0]).toBe(
      `${path}.topologyKey: Required value: can not be empty`,
    );
  });
});

describe('the rules of topology spread', () => {
  it('want a skew, a topology and what happens else, each pair once', () => {
    const texts = (constraints: readonly Record<string, unknown>[]): string[] =>
      spreadErrors(constraints).map(({ field, message }) => `${field.replace(/^.*\]\./, '')}: ${message}`);
    const constraint = { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} };
    expect(texts([constraint])).toEqual([]);
    expect(texts([constraint, constraint])).toEqual([
      '{topologyKey, whenUnsatisfiable}: Duplicate value: "{zone, DoNotSchedule}"',
    ]);
    expect(texts([{}])).toEqual([
      'maxSkew: Invalid value: 0: must be greater than zero',
      'topologyKey: Required value: can not be empty',
      'whenUnsatisfiable: Unsupported value: "": supported values: "DoNotSchedule", "ScheduleAnyway"',
    ]);
    expect(texts([{ ...constraint, whenUnsatisfiable: 'ScheduleAnyway', minDomains: 2 }])).toEqual([
      'minDomains: Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway',
    ]);
  });
});
