import type { Container } from './container.ts';
import { quantityNanos } from './quantity.ts';

/** Who goes first when a node runs out of something: those that promised nothing. */
export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

/**
 * Guaranteed: each container limits cpu and memory and requests the same; BestEffort: none says anything, or asks for
 * nothing. A request that is left open is the limit.
 *
 * @see kubernetes pkg/apis/core/v1/helper/qos/qos.go
 */
export function qosClassOf({
  containers = [],
  initContainers = [],
}: {
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly Container[];
}): QosClass {
  const amounts = [...containers, ...initContainers].flatMap(({ resources: { limits = {}, requests = {} } = {} }) =>
    ['cpu', 'memory'].map((name) => {
      const limit = quantityNanos(limits[name] ?? '0') ?? 0n;
      return { limit, request: quantityNanos(requests[name] ?? limits[name] ?? '0') ?? 0n };
    }),
  );
  if (amounts.every(({ limit, request }) => limit === 0n && request === 0n)) return 'BestEffort';
  return amounts.every(({ limit, request }) => limit > 0n && request === limit) ? 'Guaranteed' : 'Burstable';
}
