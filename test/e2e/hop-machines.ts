import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackgroundChild, type ChildOptions, type ChildResult } from '../support/child.ts';
import { Kubectl } from '../support/kubectl.ts';
import { linkNamespaces, type NetworkLink, NetworkNamespace } from '../support/network-namespace.ts';
import { type HopCommand, podwireArgv } from '../support/podwire.ts';
import { processesWith } from '../support/process-table.ts';
import { HopCertificates } from './hop-certificates.ts';

/** A pod of the image whose commands are the host's, bound to its node, for nothing schedules. */
const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web' },
  spec: {
    nodeName: 'node1',
    hostNetwork: true,
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'main',
        image: 'podwire.local/host',
        command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'],
      },
    ],
  },
};

/** How a client reaches the pod; `straight` goes to the kubelet. */
export const ways = [
  'podwire websocket',
  'podwire spdy',
  'podwire straight',
  'kubectl websocket',
  'kubectl spdy',
] as const;
export type Way = (typeof ways)[number];

export const APISERVER_URL = 'https://10.213.1.2:6443';
export const KUBELET_URL = 'https://10.213.3.2:10250';

/**
 * Three machines (network namespaces) and their cables, each hop a process of its own, TLS with certificates of both
 * sides between them, and the pod `web` on `node1`:
 *
 *     client 10.213.1.1 ── 10.213.1.2 apiserver 10.213.2.1 ── 10.213.2.2 node1: kubelet, and runtime by a unix socket
 *            10.213.3.1 ───────────────────────────────────── 10.213.3.2
 *
 * Owns: the namespaces, the processes, and a folder with all state and certificates.
 */
export class HopMachines implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'podwire-machines-'));
  readonly #closers: (() => unknown)[] = [() => rmSync(this.folder, { recursive: true, force: true })];
  readonly #namespaces = new Map<string, NetworkNamespace>();
  readonly #cables = new Map<string, { readonly far: NetworkNamespace; readonly link: NetworkLink }>();
  readonly #kubectls = new Map<string, Kubectl>();
  #certificates: HopCertificates | undefined;

  private constructor() {}

  /** Resolves when `web` runs. @throws Error with the log of the hop that does not come up */
  static async start(): Promise<HopMachines> {
    const machines = new HopMachines();
    try {
      await machines.#layCables();
      await machines.#handOutCertificates();
      await machines.#startHops();
      await machines.#runPod();
      return machines;
    } catch (error) {
      await machines[Symbol.asyncDispose]();
      throw error;
    }
  }

  get certificates(): HopCertificates {
    if (this.#certificates === undefined) throw new Error('the machines have no certificates yet');
    return this.#certificates;
  }

  /** Pulls a cable out at the second machine (`down`) or puts it in again (`up`): the first only hears nothing more. */
  async cable(name: 'client-apiserver' | 'apiserver-node' | 'client-node', state: 'up' | 'down'): Promise<void> {
    const cable = this.#cables.get(name);
    if (cable === undefined) throw new Error(`no cable ${name}`);
    await cable.far.must('ip', 'link', 'set', cable.link.devices[1], state);
  }

  /** Runs a program on the client's machine. */
  run(argv: readonly string[], options: ChildOptions = {}): Promise<ChildResult> {
    return this.#machine('client').run(argv, options);
  }

  /** Runs `podwire exec` on the client's machine; `flags` come before the pod. */
  podwire(flags: readonly string[], argv: readonly string[], options: ChildOptions = {}): Promise<ChildResult> {
    const kubeconfig = flags.includes('--kubeconfig') ? [] : ['--kubeconfig', this.kubeconfig];
    return this.run(podwireArgv('exec', ...kubeconfig, ...flags, 'web', '--', ...argv), options);
  }

  /** Runs a command in the pod from the client's machine, with stdin when there is some. */
  async exec(way: Way, argv: readonly string[], options: ChildOptions = {}): Promise<ChildResult> {
    const stdin = options.stdin === undefined ? [] : ['-i'];
    const [program, transport = ''] = way.split(' ');
    if (program === 'podwire') {
      const flags = transport === 'straight' ? ['--kubelet', KUBELET_URL] : ['--transport', transport];
      return this.podwire([...stdin, ...flags], argv, options);
    }
    const kubectl = await this.#kubectl(transport as 'websocket' | 'spdy');
    const { argv: line, env } = kubectl.commandLine('exec', ...stdin, 'web', '--', ...argv);
    return this.run(line, { ...options, env });
  }

  /** kubectl of the client's machine. @throws Error with stderr for an exit code other than 0 */
  async kubectl(args: readonly string[], options: ChildOptions = {}): Promise<string> {
    const { argv, env } = (await this.#kubectl('websocket')).commandLine(...args);
    const { exitCode, stdout, stderr } = await this.run(argv, { ...options, env });
    if (exitCode !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${exitCode}: ${stderr.toString()}`);
    return stdout.toString();
  }

  /** Of `ada`, who may do everything. */
  get kubeconfig(): string {
    return join(this.certificates.folder, 'ada.kubeconfig');
  }

  /** Processes that hold `marker`, on the node or elsewhere. */
  processesWith(marker: string): readonly string[] {
    return processesWith(marker).map(({ command }) => command);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers.splice(0).toReversed()) await close();
  }

  async #layCables(): Promise<void> {
    for (const name of ['client', 'apiserver', 'node']) {
      const namespace = await NetworkNamespace.create();
      this.#closers.push(() => namespace[Symbol.asyncDispose]());
      this.#namespaces.set(name, namespace);
    }
    const ends = [
      ['client', 'apiserver'],
      ['apiserver', 'node'],
      ['client', 'node'],
    ] as const;
    for (const [index, [one, other]] of ends.entries()) {
      const far = this.#machine(other);
      this.#cables.set(`${one}-${other}`, { far, link: await linkNamespaces(this.#machine(one), far, index + 1) });
    }
  }

  async #handOutCertificates(): Promise<void> {
    const hosts = { apiserver: ['10.213.1.2', '10.213.2.1'], kubelet: ['10.213.2.2', '10.213.3.2'] };
    const certificates = await HopCertificates.create(join(this.folder, 'pki'), hosts);
    certificates.kubeconfig('ada', APISERVER_URL, 'admin');
    certificates.kubeconfig('node1', 'https://10.213.2.1:6443', 'kubelet-client');
    this.#certificates = certificates;
  }

  async #startHops(): Promise<void> {
    const { certificates: pki, folder } = this;
    const socket = `unix://${join(folder, 'runtime.sock')}`;
    const serving = (name: 'apiserver' | 'kubelet'): Record<string, string> => ({
      'tls-cert-file': pki.crt(name),
      'tls-private-key-file': pki.key(name),
      'client-ca-file': pki.crt('ca'),
    });
    await this.#start('apiserver', 'apiserver', {
      'bind-address': '0.0.0.0',
      ...serving('apiserver'),
      'kubelet-certificate-authority': pki.crt('ca'),
      'kubelet-client-certificate': pki.crt('apiserver-client'),
      'kubelet-client-key': pki.key('apiserver-client'),
      'kubelet-preferred-address-types': 'InternalIP',
      'kubelet-timeout': '2s',
    });
    await this.#start('node', 'runtime', { 'state-dir': join(folder, 'runtime'), listen: socket });
    await this.#start('node', 'kubelet', {
      address: '0.0.0.0',
      'hostname-override': 'node1',
      'node-ip': '10.213.2.2',
      ...serving('kubelet'),
      kubeconfig: join(pki.folder, 'node1.kubeconfig'),
      'root-dir': join(folder, 'kubelet'),
      'container-runtime-endpoint': socket,
    });
  }

  async #start(machine: string, command: HopCommand, flags: Readonly<Record<string, string>>): Promise<void> {
    const words = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const [file, ...args] = this.#machine(machine).commandLine(...podwireArgv(command, ...words));
    const hop = new BackgroundChild(file, args);
    this.#closers.push(() => hop.stop());
    await hop.waitForLog(/^ready /m);
  }

  async #runPod(): Promise<void> {
    for (const step of ['create', 'condition=Ready']) {
      await this.kubectl(['wait', '--for', step, 'node/node1', '--timeout', '20s']);
    }
    await this.kubectl(['create', '-f', '-'], { stdin: Buffer.from(JSON.stringify(POD)) });
    this.#closers.push(() => this.kubectl(['delete', 'pod', 'web', '--timeout', '10s']).catch(() => undefined));
    await this.kubectl(['wait', '--for', 'condition=Ready', 'pod/web', '--timeout', '20s']);
  }

  async #kubectl(transport: 'websocket' | 'spdy'): Promise<Kubectl> {
    const known = this.#kubectls.get(transport);
    if (known !== undefined) return known;
    const kubectl = await Kubectl.create({ kubeconfig: this.kubeconfig, transport });
    this.#closers.push(() => kubectl[Symbol.dispose]());
    this.#kubectls.set(transport, kubectl);
    return kubectl;
  }

  #machine(name: string): NetworkNamespace {
    const namespace = this.#namespaces.get(name);
    if (namespace === undefined) throw new Error(`no machine ${name}`);
    return namespace;
  }
}
