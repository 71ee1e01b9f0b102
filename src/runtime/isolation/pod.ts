import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type DNSConfig, grpcCodes, NamespaceMode, type PodSandboxConfig, RuntimeCallError } from '../../cri/index.ts';
import type { CgroupTree } from '../cgroup/index.ts';
import { childrenOf, SESSION_VARIABLE } from '../process/index.ts';
import { unmountBelow } from './mounts.ts';
import { type DialOptions, NamespaceDialer } from './namespace-dialer.ts';
import type { PodNetwork, Traffic } from './network.ts';
import { PodCgroup } from './pod-cgroup.ts';
import { runTool, TOOL_PATH, toolPath } from './tool.ts';
import type { ToolsRoot } from './tools-root.ts';

/** Of /dev/shm, which the containers of a pod share. */
const SHM_OPTIONS = 'nosuid,nodev,noexec,mode=1777,size=64m';
/** Kernel settings that belong to a namespace of the pod, and so change nothing elsewhere. */
const POD_SYSCTLS = /^(net\.|kernel\.(shm|msg|sem)|fs\.mqueue\.)/;

export interface PodOptions {
  readonly id: string;
  readonly config: PodSandboxConfig;
  /** Its own folder, not there yet. */
  readonly directory: string;
  readonly marker: string;
  readonly tools: () => Promise<ToolsRoot>;
  readonly network: PodNetwork | undefined;
  /** undefined where no cgroup can be made. */
  readonly cgroups: CgroupTree | undefined;
}

/**
 * What the containers of a pod share: network, ipc and uts namespaces, held by files; /dev/shm; the files that name the
 * pod and its neighbours; and when they share one, a pid namespace with a first process that reaps.
 *
 * Owns: all of it.
 */
export class Pod {
  readonly options: PodOptions;
  /** Empty on the host's network. */
  addresses: readonly string[] = [];
  /** Where its containers have their cgroups; undefined where none can be made. */
  readonly cgroup: PodCgroup | undefined;
  #init: ChildProcess | undefined;
  #made: Promise<void> | undefined;
  #dialer: NamespaceDialer | undefined;

  /** Nothing is there until {@link make}. */
  constructor(options: PodOptions) {
    this.options = options;
    const { id, config, cgroups } = options;
    const place = { id, parent: config.linux?.cgroupParent ?? '', record: this.file('cgroup.json') };
    this.cgroup = cgroups && new PodCgroup(cgroups, place);
  }

  /**
   * Makes all of it. Twice is once.
   *
   * @throws ExecPathError ERR_ISOLATION; RuntimeCallError InvalidArgument. A failed call leaves nothing behind
   */
  make(): Promise<void> {
    this.#made ??= this.#create().catch(async (thrown: unknown) => {
      await this.close();
      this.#made = undefined;
      throw thrown;
    });
    return this.#made;
  }

  /** Whether it has, or soon has, namespaces of its own. */
  get isMade(): boolean {
    return this.#made !== undefined;
  }

  #mode(kind: 'network' | 'pid' | 'ipc'): NamespaceMode {
    return this.options.config.linux?.securityContext?.namespaceOptions?.[kind] ?? NamespaceMode.POD;
  }

  get isHostNetwork(): boolean {
    return this.options.network === undefined || this.#mode('network') === NamespaceMode.NODE;
  }

  /** The file of a namespace, or undefined for the host's. */
  namespace(kind: 'net' | 'ipc' | 'uts'): string | undefined {
    const isHost = kind === 'ipc' ? this.#mode('ipc') === NamespaceMode.NODE : this.isHostNetwork;
    return isHost ? undefined : this.file(kind);
  }

  /** `resolv.conf`, `hosts`, `hostname`, `shm` and the like. */
  file(name: string): string {
    return join(this.options.directory, name);
  }

  /**
   * Connects to a port inside the pod's network, which is not the host's: a server on its loopback is reached too.
   *
   * @throws Error of the system, such as ECONNREFUSED; the signal's reason
   */
  dial(options: DialOptions): Promise<Socket> {
    this.#dialer ??= new NamespaceDialer(this.file('net'), `${this.options.marker}/dial`);
    return this.#dialer.dial(options);
  }

  /** What its interface carried, seen from inside; undefined on the host's network. */
  traffic(): Traffic | undefined {
    return this.isHostNetwork ? undefined : this.options.network?.traffic(this.file('network.json'));
  }

  /** Path of the shared pid namespace; its first process is started when a container first asks for it. */
  async pidNamespace(): Promise<string> {
    const tools = await this.options.tools();
    this.#init ??= this.#startInit(tools);
    const init = this.#init;
    const parent = init.pid ?? 0;
    // unshare(1) forks the first process within a millisecond or two.
    for (let tries = 0; tries < 500 && init.exitCode === null; tries += 1) {
      const [first] = childrenOf(parent);
      if (first !== undefined) return `/proc/${first}/ns/pid`;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    throw new RuntimeCallError(grpcCodes.Unknown, 'the first process of the pod could not be started');
  }

  /** Ends its first process, and with it every process in its pid namespace. Twice is once. */
  async stop(): Promise<void> {
    await this.#dialer?.close();
    const init = this.#init;
    this.#init = undefined;
    if (init !== undefined && init.exitCode === null && init.signalCode === null) {
      const gone = once(init, 'exit');
      // Nothing else may keep our own process running by now, and it must not end before this is done.
      init.ref();
      // What is set to die with unshare(1) forgets that when it changes its user: the first process itself is killed.
      for (const pid of childrenOf(init.pid ?? 0)) killPid(pid);
      init.kill('SIGKILL');
      await gone;
    }
    if (!this.isHostNetwork) await this.options.network?.disconnect(this.file('network.json'));
  }

  async close(): Promise<void> {
    await this.stop();
    await this.cgroup?.close();
    await unmountBelow(this.options.directory);
    rmSync(this.options.directory, { recursive: true, force: true });
  }

  async #create(): Promise<void> {
    const { id, config, directory, network } = this.options;
    mkdirSync(join(directory, 'shm'), { recursive: true, mode: 0o711 });
    const kinds = (['net', 'ipc', 'uts'] as const).filter((kind) => this.namespace(kind) !== undefined);
    for (const kind of kinds) writeFileSync(this.file(kind), '');
    const hostname = this.isHostNetwork ? '' : config.hostname || (config.metadata?.name ?? '');
    if (kinds.length > 0) {
      const flags = kinds.map((kind) => `--${kind}=${this.file(kind)}`);
      const script = 'if [ -n "$1" ]; then echo "$1" >/proc/sys/kernel/hostname; fi';
      await runTool(['unshare', ...flags, '--', 'sh', '-c', script, 'podwire', hostname]);
    }
    await runTool(['mount', '-t', 'tmpfs', '-o', SHM_OPTIONS, 'shm', this.file('shm')]);
    if (!this.isHostNetwork && network !== undefined) {
      this.addresses = await network.connect(id, this.file('net'), this.file('network.json'), config);
    }
    await this.#setSysctls();
    if (hostname !== '') writeFileSync(this.file('hostname'), `${hostname}\n`);
    writeFileSync(this.file('hosts'), hostsOf(hostname, this.addresses));
    const resolver = config.dnsConfig === undefined ? hostResolver() : resolverOf(config.dnsConfig);
    writeFileSync(this.file('resolv.conf'), resolver);
  }

  async #setSysctls(): Promise<void> {
    const entries = Object.entries(this.options.config.linux?.sysctls ?? {});
    const refused = entries.find(([name]) => !POD_SYSCTLS.test(name) || !/^[\w.-]+$/.test(name));
    if (refused !== undefined) {
      const rule = `sysctl ${JSON.stringify(refused[0])} does not belong to a pod`;
      throw new RuntimeCallError(grpcCodes.InvalidArgument, rule);
    }
    for (const [name, value] of entries) {
      const flags = (['net', 'ipc', 'uts'] as const).flatMap((kind) => {
        const file = this.namespace(kind);
        return file === undefined ? [] : [`--${kind}=${file}`];
      });
      const path = `/proc/sys/${name.replaceAll('.', '/')}`;
      await runTool(['nsenter', ...flags, '--', 'sh', '-c', 'echo "$2" >"$1"', 'podwire', path, value]);
    }
  }

  #startInit(tools: ToolsRoot): ChildProcess {
    const { marker } = this.options;
    const nobody = [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      '--bounding-set=-all',
      '--inh-caps=-all',
      '--nnp',
    ];
    const enter = [`--mount=${tools.mountNamespace}`, '--', 'unshare', '--pid', '--fork', '--kill-child', '--'];
    const argv = [...enter, 'setpriv', ...nobody, '--', 'sh', '-c', 'tail -f /dev/null & wait'];
    const init = spawn(toolPath('nsenter') ?? 'nsenter', argv, {
      stdio: 'ignore',
      env: { PATH: TOOL_PATH, [SESSION_VARIABLE]: `${marker}/pod` },
      detached: true,
    });
    init.on('error', () => {});
    init.unref();
    return init;
  }
}

function killPid(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ESRCH: it has ended.
  }
}

function hostsOf(hostname: string, addresses: readonly string[]): string {
  const own = addresses.map((address) => `${address}\t${hostname}`);
  return ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback', ...own, ''].join('\n');
}

function hostResolver(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    return '';
  }
}

function resolverOf({ servers, searches, options }: DNSConfig): string {
  const lines = servers.map((server) => `nameserver ${server}`);
  if (searches.length > 0) lines.unshift(`search ${searches.join(' ')}`);
  if (options.length > 0) lines.push(`options ${options.join(' ')}`);
  return `${lines.join('\n')}\n`;
}
