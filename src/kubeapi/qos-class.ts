import type { Container } from './container.ts';
import type { PodStatus } from './pod-status.ts';
import { parseQuantity, type ResourceList } from './quantity.ts';

export type QosClass = NonNullable<PodStatus['qosClass']>;

/** The resources that decide; amounts of zero do not count. */
const DECIDING = ['cpu', 'memory'] as const;

/**
 * How firmly a pod has what it asks for: Guaranteed when each container limits cpu and memory and asks for just as much,
 * BestEffort when none says anything.
 *
 * @param containers all but the ephemeral ones
 * @throws ExecPathError ERR_MANIFEST for what is no quantity
 * @see kubernetes pkg/apis/core/v1/helper/qos, ComputePodQOS
 */
export function qosClassOf(containers: readonly Pick<Container, 'resources'>[]): QosClass {
  const amounts = containers.flatMap(({ resources }) =>
    DECIDING.map((name) => ({
      limit: amountOf(resources?.limits, name),
      request: amountOf(resources?.requests, name),
    })),
  );
  if (amounts.every(({ limit, request }) => limit === 0 && request === 0)) return 'BestEffort';
  const isFixed = amounts.every(({ limit, request }) => limit > 0 && (request === 0 || request === limit));
  return isFixed ? 'Guaranteed' : 'Burstable';
}

function amountOf(resources: ResourceList | undefined, name: string): number {
  return Math.max(0, parseQuantity(resources?.[name] ?? 0));
}
