import { describe, expect, it } from 'vitest';
import type { Condition, Pod } from '../kubeapi/index.ts';
import { closedGates, withForeign, withoutForeign } from './pod-conditions.ts';

const gate = (type: string, status: Condition['status'] = 'True'): Condition => ({ type, status });

function podOf(gates: readonly string[], conditions: readonly Condition[]): Pod {
  const readinessGates = gates.map((conditionType) => ({ conditionType }));
  return { metadata: { name: 'web' }, spec: { containers: [], readinessGates }, status: { conditions } };
}

// Facts: kubernetes pkg/kubelet/status/generate_test.go
describe('the readiness gates of a pod', () => {
  it.each([
    ['are open without any', podOf([], []), undefined],
    ['are open when all their conditions hold', podOf(['a', 'b'], [gate('b'), gate('a')]), undefined],
    [
      'are closed without their condition',
      podOf(['a', 'b'], [gate('a')]),
      'corresponding condition of pod readiness gate "b" does not exist.',
    ],
    [
      'are closed when one does not hold, and say which',
      podOf(['a', 'b'], [gate('a', 'False'), gate('b', 'Unknown')]),
      'the status of pod readiness gate "a" is not "True", but False, the status of pod readiness gate "b" is not "True", but Unknown',
    ],
  ])('%s', (_how, pod, expected) => {
    expect(closedGates(pod)).toBe(expected);
  });
});

describe('conditions that others set', () => {
  const said = { phase: 'Running', conditions: [gate('Ready'), gate('theirs', 'False'), gate('gone')] } as const;

  it('are as they are now, beside what the kubelet last said of its own', () => {
    const now = { conditions: [gate('theirs'), gate('Ready', 'False')] };
    expect(withForeign(said, now)).toEqual({ phase: 'Running', conditions: [gate('theirs'), gate('Ready')] });
    expect(withForeign({ phase: 'Failed' }, {})).toEqual({ phase: 'Failed' });
  });

  it('are not written by the kubelet', () => {
    expect(withoutForeign(said)).toEqual({ phase: 'Running', conditions: [gate('Ready')] });
  });
});
