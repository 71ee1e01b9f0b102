import { type ChildOptions, type ChildResult, mustRun, runChild } from './child.ts';

let count = 0;

/**
 * A network namespace of Linux, with loopback up and nothing else: another machine on this machine.
 *
 * Owns: the namespace, its interfaces, and what was started inside by {@link NetworkNamespace.commandLine}.
 */
export class NetworkNamespace implements AsyncDisposable {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /** Needs root and iproute2. Names are unique on this machine: several runs may go on at once. */
  static async create(): Promise<NetworkNamespace> {
    count += 1;
    const namespace = new NetworkNamespace(`podwire-${process.pid}-${count}`);
    await mustRun('ip', ['netns', 'add', namespace.name]);
    await namespace.must('ip', 'link', 'set', 'lo', 'up');
    return namespace;
  }

  /** Runs a program inside. */
  run(argv: readonly string[], options: ChildOptions = {}): Promise<ChildResult> {
    return runChild('ip', this.#args(argv), options);
  }

  /** As run, and gives stdout. @throws Error for an exit code other than 0 */
  must(...argv: string[]): Promise<string> {
    return mustRun('ip', this.#args(argv));
  }

  /** Program and arguments that run `argv` inside, for those who start it themselves. */
  commandLine(...argv: string[]): [string, ...string[]] {
    return ['ip', ...this.#args(argv)];
  }

  /**
   * Sets rules of tc(8) on the outgoing side of an interface, such as `netem`, `delay`, `50ms`, `loss`, `1%`.
   * Replaces earlier ones.
   */
  async shape(device: string, ...rule: string[]): Promise<void> {
    await this.must('tc', 'qdisc', 'replace', 'dev', device, 'root', ...rule);
  }

  /** Kills what runs inside and removes the namespace with its interfaces. Twice is once. */
  async [Symbol.asyncDispose](): Promise<void> {
    const inside = await runChild('ip', ['netns', 'pids', this.name]);
    for (const pid of inside.stdout.toString().split('\n').filter(Boolean)) kill(Number(pid));
    await runChild('ip', ['netns', 'delete', this.name]);
  }

  #args(argv: readonly string[]): string[] {
    return ['netns', 'exec', this.name, ...argv];
  }
}

export interface NetworkLink {
  /** Interface names and addresses of the two ends, in the order of the namespaces given. */
  readonly devices: readonly [string, string];
  readonly addresses: readonly [string, string];
}

/**
 * Joins two namespaces by a cable (a veth pair). Each link of a namespace needs a `subnet` of its own.
 *
 * @param subnet the third number of 10.213.N.0/30
 */
export async function linkNamespaces(
  one: NetworkNamespace,
  other: NetworkNamespace,
  subnet: number,
): Promise<NetworkLink> {
  const devices = [`pw${subnet}a`, `pw${subnet}b`] as const;
  const addresses = [`10.213.${subnet}.1`, `10.213.${subnet}.2`] as const;
  const peer = ['peer', 'name', devices[1], 'netns', other.name];
  await mustRun('ip', ['link', 'add', devices[0], 'netns', one.name, 'type', 'veth', ...peer]);
  for (const [index, namespace] of [one, other].entries()) {
    const device = index === 0 ? devices[0] : devices[1];
    await namespace.must('ip', 'address', 'add', `${addresses[index]}/30`, 'dev', device);
    await namespace.must('ip', 'link', 'set', device, 'up');
  }
  return { devices, addresses };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ESRCH: it ended meanwhile.
  }
}
