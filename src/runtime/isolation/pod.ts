import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { deferred } from '../../common/deferred.ts';
import { SingleFlight } from '../../common/single-flight.ts';
import { type DNSConfig, grpcCodes, NamespaceMode, type PodSandboxConfig, RuntimeCallError } from '../../cri/index.ts';
import type { CgroupTree } from '../cgroup/index.ts';
import type { MarkedProcess } from '../process/index.ts';
import { allDone } from './all-done.ts';
import { mountsBelow, unmountBelow } from './mounts.ts';
import { type DialOptions, NamespaceDialer } from './namespace-dialer.ts';
import type { PodNetwork, Traffic } from './network.ts';
import { PodCgroup } from './pod-cgroup.ts';
import { PodInit } from './pod-init.ts';
import { assertSysctls, sysctlNamespace } from './sysctls.ts';
import { runTool } from './tool.ts';
import type { ToolsRoot } from './tools-root.ts';

/** Of /dev/shm, which the containers of a pod share. */
const SHM_OPTIONS = 'nosuid,nodev,noexec,mode=1777,size=64m';

/** A file that says that everything else of the pod is there. */
const MADE = 'made';
/** A file that says that the pod has had a first process: one that is not found any more has died. */
const HAD_INIT = 'had-init';

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
  /**
   * Settles when its first process has died, though nobody ended it here, and never when it has none: nothing can be
   * started among its shared processes any more.
   */
  readonly lost: Promise<void>;
  readonly #loss = deferred<void>();
  #isLost = false;
  #init: Promise<PodInit> | undefined;
  readonly #stopping = new SingleFlight(() => this.#stop());
  readonly #closing = new SingleFlight(() => this.#close());
  #made: Promise<void> | undefined;
  #dialer: NamespaceDialer | undefined;

  /** Nothing is there until {@link make}. */
  constructor(options: PodOptions) {
    this.options = options;
    this.lost = this.#loss.promise;
    const { id, config, cgroups } = options;
    const place = { id, parent: config.linux?.cgroupParent ?? '', record: this.file('cgroup.json') };
    this.cgroup = cgroups && new PodCgroup(cgroups, place);
  }

  /** @throws RuntimeCallError InvalidArgument for settings that it has no namespace for */
  assertPossible(): void {
    assertSysctls(this.options.config.linux?.sysctls ?? {}, (kind) => this.namespace(kind) !== undefined);
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

  /** Whether {@link lost} has settled. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Whether it has, or soon has, namespaces of its own. */
  get isMade(): boolean {
    return this.#made !== undefined;
  }

  /**
   * Finds a pod again that another process of ours had. What that one had half made is taken down.
   *
   * @param marked all processes with the mark of the pod or below it
   * @returns undefined when the machine has forgotten what was made
   */
  static async adopt(options: PodOptions, marked: readonly MarkedProcess[]): Promise<Pod | undefined> {
    const pod = new Pod(options);
    if (!existsSync(pod.file(MADE))) {
      if (existsSync(options.directory)) await pod.close();
      return pod;
    }
    const isMissing = (file: string | undefined): boolean => file !== undefined && mountsBelow(file).length === 0;
    if ((['net', 'ipc', 'uts'] as const).some((kind) => isMissing(pod.namespace(kind)))) return undefined;
    if (isMissing(pod.file('shm'))) return undefined;
    pod.#made = Promise.resolve();
    if (!pod.isHostNetwork) pod.addresses = options.network?.addressesOf(pod.file('network.json')) ?? [];
    const inits = marked.filter(({ session }) => session === pod.#initMarker);
    const init = PodInit.adopt(inits, pod.#lose);
    if (init !== undefined) pod.#init = Promise.resolve(init);
    else if (existsSync(pod.file(HAD_INIT))) pod.#lose();
    return pod;
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

  /**
   * Path of the shared pid namespace; its first process is started when a container first asks for it.
   *
   * @throws RuntimeCallError Unknown when that cannot be started, or has died
   */
  async pidNamespace(): Promise<string> {
    if (this.#isLost) throw new RuntimeCallError(grpcCodes.Unknown, 'the first process of the pod has died');
    this.#init ??= this.#startInit().catch((thrown: unknown) => {
      this.#init = undefined;
      throw thrown;
    });
    return (await this.#init).namespace;
  }

  async #startInit(): Promise<PodInit> {
    const init = await PodInit.start(await this.options.tools(), this.#initMarker, this.#lose);
    try {
      writeFileSync(this.file(HAD_INIT), '');
      return init;
    } catch (thrown) {
      await init.end();
      throw thrown;
    }
  }

  get #initMarker(): string {
    return `${this.options.marker}/pod`;
  }

  readonly #lose = (): void => {
    this.#isLost = true;
    this.#loss.resolve();
  };

  /** Ends its first process, and with it every process in its pid namespace. Twice is once. */
  stop(): Promise<void> {
    return this.#stopping.run();
  }

  async #stop(): Promise<void> {
    await this.#dialer?.close();
    const init = await this.#init?.catch(() => undefined);
    this.#init = undefined;
    await init?.end();
    if (!this.isHostNetwork) await this.options.network?.disconnect(this.file('network.json'));
  }

  /** Leaves everything to another process of ours. */
  async leave(): Promise<void> {
    await this.#dialer?.close();
    (await this.#init?.catch(() => undefined))?.leave();
  }

  /** Takes down all of it. Twice is once. */
  close(): Promise<void> {
    return this.#closing.run();
  }

  async #close(): Promise<void> {
    await this.stop();
    await this.cgroup?.close();
    await unmountBelow(this.options.directory);
    rmSync(this.options.directory, { recursive: true, force: true });
  }

  async #create(): Promise<void> {
    const { config, directory } = this.options;
    this.assertPossible();
    mkdirSync(join(directory, 'shm'), { recursive: true, mode: 0o711 });
    const kinds = (['net', 'ipc', 'uts'] as const).filter((kind) => this.namespace(kind) !== undefined);
    for (const kind of kinds) writeFileSync(this.file(kind), '');
    const hostname = this.isHostNetwork ? '' : config.hostname || (config.metadata?.name ?? '');
    const shm = runTool(['mount', '-t', 'tmpfs', '-o', SHM_OPTIONS, 'shm', this.file('shm')]);
    await allDone([shm, this.#makeNamespaces(kinds, hostname).then(() => this.#connect())]);
    await this.#setSysctls();
    if (hostname !== '') writeFileSync(this.file('hostname'), `${hostname}\n`);
    writeFileSync(this.file('hosts'), hostsOf(hostname, this.addresses));
    const resolver = config.dnsConfig === undefined ? hostResolver() : resolverOf(config.dnsConfig);
    writeFileSync(this.file('resolv.conf'), resolver);
    // The last of all: without it the pod is half made.
    writeFileSync(this.file(MADE), '');
  }

  async #makeNamespaces(kinds: readonly string[], hostname: string): Promise<void> {
    if (kinds.length === 0) return;
    const flags = kinds.map((kind) => `--${kind}=${this.file(kind)}`);
    const script = 'if [ -n "$1" ]; then echo "$1" >/proc/sys/kernel/hostname; fi';
    await runTool(['unshare', ...flags, '--', 'sh', '-c', script, 'podwire', hostname]);
  }

  async #connect(): Promise<void> {
    const { id, config, network } = this.options;
    if (this.isHostNetwork || network === undefined) return;
    this.addresses = await network.connect(id, this.file('net'), this.file('network.json'), config);
  }

  async #setSysctls(): Promise<void> {
    for (const [name, value] of Object.entries(this.options.config.linux?.sysctls ?? {})) {
      const kind = sysctlNamespace(name);
      const file = kind && this.namespace(kind);
      // Checked before: outside a namespace of the pod nothing may be written.
      if (file === undefined) continue;
      const path = `/proc/sys/${name.replaceAll('.', '/')}`;
      await runTool(['nsenter', `--${kind}=${file}`, '--', 'sh', '-c', 'echo "$2" >"$1"', 'podwire', path, value]);
    }
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
