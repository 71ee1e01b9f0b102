import { type Pod, quantityNanos, type ResourceList } from '../kubeapi/index.ts';

/**
 * Amounts by name: thousandths of a cpu, and units of everything else. No float: what is taken away from a sum leaves
 * what was there before.
 */
export type Amounts = ReadonlyMap<string, bigint>;

const MAX_INT64 = 2n ** 63n - 1n;

/** In the unit of {@link Amounts}; what is smaller counts as one, and more than an int64 as the largest. */
function amountOf(name: string, quantity: string | number): bigint {
  const nanos = quantityNanos(quantity) ?? 0n;
  const unit = 10n ** (name === 'cpu' ? 6n : 9n);
  const whole = nanos > 0n ? (nanos + unit - 1n) / unit : nanos / unit;
  return whole > MAX_INT64 ? MAX_INT64 : whole;
}

/** Lists belong to objects that are never changed, and are read for each pair of a pod and a node. */
const known = new WeakMap<ResourceList, Amounts>();

/** What a list of quantities says; one that is none counts as nothing. */
export function amountsOf(list: ResourceList): Amounts {
  const before = known.get(list);
  if (before !== undefined) return before;
  const amounts = new Map(Object.entries(list).map(([name, quantity]) => [name, amountOf(name, quantity)]));
  known.set(list, amounts);
  return amounts;
}

const nothing: ResourceList = {};

/**
 * What a pod asks for: all its containers at once, or more where an init container asks for more than they do. Sidecars
 * run beside both.
 *
 * @see kubernetes/component-helpers resource/helpers.go, PodRequests
 */
export function requestsOf({ spec }: Pod): Amounts {
  const running = new Map<string, bigint>();
  const sidecars = new Map<string, bigint>();
  const peak = new Map<string, bigint>();
  for (const { resources } of spec.containers) add(running, amountsOf(resources?.requests ?? nothing));
  for (const { resources, restartPolicy } of spec.initContainers ?? []) {
    const amounts = amountsOf(resources?.requests ?? nothing);
    if (restartPolicy === 'Always') {
      for (const sums of [running, sidecars]) add(sums, amounts);
      raise(peak, sidecars);
    } else {
      const starting = new Map(sidecars);
      add(starting, amounts);
      raise(peak, starting);
    }
  }
  raise(running, peak);
  return running;
}

function add(sums: Map<string, bigint>, amounts: Amounts): void {
  for (const [name, amount] of amounts) sums.set(name, (sums.get(name) ?? 0n) + amount);
}

function raise(most: Map<string, bigint>, amounts: Amounts): void {
  for (const [name, amount] of amounts) if (amount > (most.get(name) ?? 0n)) most.set(name, amount);
}

/** A port of the host that a pod takes. */
export interface HostPort {
  readonly address: string;
  readonly protocol: string;
  readonly port: number;
}

/** The ports of the host that a pod takes. */
export function hostPortsOf({ spec }: Pod): readonly HostPort[] {
  return spec.containers.flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort = 0, hostIP = '', protocol = 'TCP' }) =>
      hostPort === 0 ? [] : [{ address: hostIP === '' ? ANY_ADDRESS : hostIP, protocol, port: hostPort }],
    ),
  );
}

const ANY_ADDRESS = '0.0.0.0';

/** True when both cannot be had at once. */
export function isSamePort(left: HostPort, right: HostPort): boolean {
  if (left.port !== right.port || left.protocol !== right.protocol) return false;
  return left.address === right.address || left.address === ANY_ADDRESS || right.address === ANY_ADDRESS;
}
