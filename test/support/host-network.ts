import type { Host } from './host.ts';
import { NetworkNamespace } from './network-namespace.ts';

/**
 * A network of hosts: a switch with a cable to each.
 *
 * Owns: a network namespace with the switch.
 */
export class HostNetwork implements AsyncDisposable {
  readonly #namespace: NetworkNamespace;
  readonly #ports = new Map<string, string>();

  private constructor(namespace: NetworkNamespace) {
    this.#namespace = namespace;
  }

  static async create(): Promise<HostNetwork> {
    const network = new HostNetwork(await NetworkNamespace.create());
    await network.#namespace.must('ip', 'link', 'add', 'switch', 'type', 'bridge');
    await network.#namespace.must('ip', 'link', 'set', 'switch', 'up');
    return network;
  }

  /** @param address with its length: `192.0.2.11/24` */
  async connect(host: Host, address: string): Promise<void> {
    const port = `port${this.#ports.size + 1}`;
    const far = ['peer', 'name', 'eth0', 'netns', String(host.pid)];
    await this.#namespace.must('ip', 'link', 'add', port, 'type', 'veth', ...far);
    await this.#namespace.must('ip', 'link', 'set', port, 'master', 'switch', 'up');
    await host.must('ip', 'address', 'add', address, 'dev', 'eth0');
    await host.must('ip', 'link', 'set', 'eth0', 'up');
    this.#ports.set(host.name, port);
  }

  /** Pulls the cable of a host out of the switch (`down`) or puts it in again (`up`). */
  async cable(host: Host, state: 'up' | 'down'): Promise<void> {
    await this.#namespace.must('ip', 'link', 'set', this.#ports.get(host.name) ?? '', state);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#namespace[Symbol.asyncDispose]();
  }
}
