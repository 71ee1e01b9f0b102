import { describe, expect, it } from 'vitest';
import type { Container } from './container.ts';
import { type QosClass, qosClassOf } from './qos-class.ts';

type Resources = NonNullable<Container['resources']>;

// Facts: kubernetes pkg/apis/core/v1/helper/qos
describe('the class of service of a pod', () => {
  const both = { cpu: '0.7', memory: '1Gi' };
  const same = { cpu: '700m', memory: '1024Mi' };

  it.each<[string, QosClass, Resources[]]>([
    ['nothing said', 'BestEffort', [{}, {}]],
    ['other resources', 'BestEffort', [{ requests: { 'ephemeral-storage': '1Gi' } }]],
    ['amounts of zero', 'BestEffort', [{ requests: { cpu: '0' }, limits: { memory: 0 } }]],
    ['limits that are the requests, however written', 'Guaranteed', [{ limits: both, requests: same }]],
    ['limits alone', 'Guaranteed', [{ limits: both }]],
    ['one limit of two', 'Burstable', [{ limits: { cpu: '1' } }]],
    ['a container that says nothing beside one that does', 'Burstable', [{ limits: both }, {}]],
    ['less asked for than allowed', 'Burstable', [{ limits: both, requests: { cpu: '0.1' } }]],
    ['requests alone', 'Burstable', [{ requests: both }]],
  ])('%s: %s', (_, expected, containers) => {
    expect(qosClassOf(containers.map((resources) => ({ resources })))).toBe(expected);
  });
});
