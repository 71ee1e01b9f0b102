import { type Container, type Pod, parseQuantity } from '../kubeapi/index.ts';

/** Amounts by name, in whole numbers: thousandths of a cpu, and units of everything else. */
export type Amounts = ReadonlyMap<string, number>;

/** In the unit of {@link Amounts}; what is smaller counts as one. */
export function amountOf(name: string, quantity: string | number): number {
  const amount = parseQuantity(quantity) * (name === 'cpu' ? 1000 : 1);
  // 0.1 cpu is not a bit more than 100 thousandths.
  return Math.ceil(Number(amount.toFixed(6)));
}

/**
 * What a pod asks for: all its containers at once, or more where an init container asks for more than they do. Sidecars
 * run beside both.
 *
 * @see kubernetes/component-helpers resource/helpers.go, PodRequests
 */
export function requestsOf({ spec }: Pod): Amounts {
  const running = new Map<string, number>();
  const sidecars = new Map<string, number>();
  const peak = new Map<string, number>();
  for (const { resources } of spec.containers) add(running, readAmounts(resources));
  for (const { resources, restartPolicy } of spec.initContainers ?? []) {
    const amounts = readAmounts(resources);
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

function readAmounts(resources: Container['resources']): Amounts {
  return new Map(Object.entries(resources?.requests ?? {}).map(([name, quantity]) => [name, amountOf(name, quantity)]));
}

function add(sums: Map<string, number>, amounts: Amounts): void {
  for (const [name, amount] of amounts) sums.set(name, (sums.get(name) ?? 0) + amount);
}

function raise(most: Map<string, number>, amounts: Amounts): void {
  for (const [name, amount] of amounts) most.set(name, Math.max(most.get(name) ?? 0, amount));
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
