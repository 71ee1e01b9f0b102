import type { Container, Pod } from '../../kubeapi/index.ts';
import { type Amounts, amountsOf, largerOf, sumOf } from './amount.ts';

/**
 * What a pod asks for, or is limited to: its containers and sidecars together, or one init container and the sidecars
 * before it where that is more.
 */
export function podAmounts({ spec }: Pod, which: 'requests' | 'limits'): Amounts {
  const of = ({ resources }: Container): Amounts => amountsOf(resources?.[which]);
  let total = spec.containers.map(of).reduce(sumOf, new Map());
  let sidecars: Amounts = new Map();
  let largest: Amounts = new Map();
  for (const container of spec.initContainers ?? []) {
    const own = of(container);
    if (container.restartPolicy === 'Always') {
      total = sumOf(total, own);
      sidecars = sumOf(sidecars, own);
      largest = largerOf(largest, sidecars);
    } else largest = largerOf(largest, sumOf(own, sidecars));
  }
  return largerOf(total, largest);
}
