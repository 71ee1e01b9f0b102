import { describe, expect, it } from 'vitest';
import type { ApiObject } from './api-object.ts';
import { prepareNew, prepareNext } from './object-rules.ts';
import { withAdmissionDefaults } from './pod-admission.ts';
import { podResource } from './pod-resource.ts';

const podOf = (spec: object): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default' },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});

const gone = (name: string): object => ({
  key: `node.kubernetes.io/${name}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 300,
});

describe('the admission of a pod', () => {
  it.each([
    [[], [gone('not-ready'), gone('unreachable')]],
    [[{ key: 'k', operator: 'Exists' }], [{ key: 'k', operator: 'Exists' }, gone('not-ready'), gone('unreachable')]],
    [
      [{ ...gone('not-ready'), tolerationSeconds: 5 }],
      [{ ...gone('not-ready'), tolerationSeconds: 5 }, gone('unreachable')],
    ],
    [[{ operator: 'Exists', effect: 'NoExecute' }], [{ operator: 'Exists', effect: 'NoExecute' }]],
    [
      [{ operator: 'Exists', effect: 'NoSchedule' }],
      [{ operator: 'Exists', effect: 'NoSchedule' }, gone('not-ready'), gone('unreachable')],
    ],
  ])('makes %j bear five minutes without its node', (tolerations, full) => {
    expect(withAdmissionDefaults(podOf({ tolerations }))).toMatchObject({ spec: { tolerations: full } });
  });

  it('gives the priority of its class', () => {
    const preemptionPolicy = 'PreemptLowerPriority';
    expect(prepareNew(podResource, podOf({}))).toMatchObject({ spec: { priority: 0, preemptionPolicy } });
    expect(prepareNew(podResource, podOf({ priorityClassName: 'system-node-critical' }))).toMatchObject({
      spec: { priority: 2_000_001_000, preemptionPolicy },
    });
  });

  it.each([
    [{ priorityClassName: 'none' }, 'no PriorityClass with name none was found'],
    [
      { priority: 5 },
      'the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name',
    ],
    [
      { preemptionPolicy: 'Never' },
      'the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller computed PreemptLowerPriority from the given PriorityClass name',
    ],
    [{ runtimeClassName: 'gvisor' }, 'pod rejected: RuntimeClass "gvisor" not found'],
    [{ overhead: { cpu: '1' } }, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead'],
  ])('forbids %j', (spec, why) => {
    expect(() => prepareNew(podResource, podOf(spec))).toThrow(`pods "p" is forbidden: ${why}`);
  });

  it('lets a pod be replaced by what it was made from, also one that was stored without all of this', () => {
    const made = prepareNew(podResource, podOf({}));
    const replaced = prepareNext(podResource, made, podOf({}), 'main');
    expect(replaced['spec']).toEqual(made['spec']);
    const { priority: _, preemptionPolicy: __, tolerations: ___, ...spec } = made['spec'] as Record<string, unknown>;
    expect(prepareNext(podResource, { ...made, spec }, podOf({}), 'main')['spec']).toEqual(made['spec']);
  });
});
