import { chownSync, mkdirSync, rmSync } from 'node:fs';
import { getuid } from 'node:process';
import { toError } from '../common/errors.ts';
import type { TerminalSize } from '../common/terminal-size.ts';
import { type ContainerConfig, grpcCodes, type LinuxContainerResources, RuntimeCallError } from '../cri/index.ts';
import { ContainerLog } from './container-log.ts';
import { endsWithin } from './deadline.ts';
import type { Confinement } from './isolation/index.ts';
import type { Stored } from './object-store.ts';
import { type Attachment, OutputHub } from './output-hub.ts';
import {
  type FifoPool,
  type ProcessExit,
  type ProcessSpec,
  type ProcessUser,
  type RunningProcess,
  startProcess,
} from './process/index.ts';

/** How long attached readers have to take the last output of a container that has ended, in ms. */
const DRAIN_MS = 2_000;

export interface ContainerOptions extends Stored {
  readonly podSandboxId: string;
  readonly config: ContainerConfig;
  /** Its own directory, made at start and removed with it. */
  readonly directory: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: ProcessUser | undefined;
  /** Absolute, or undefined for no log. */
  readonly logPath: string | undefined;
  /** Mark of the container's processes; those of an exec add `/` and a number. */
  readonly marker: string;
  readonly pipes: FifoPool;
  /** What its status says of its image. */
  readonly image: { readonly id: string; readonly reference: string };
  /** Its walls; undefined for the host image. */
  readonly confinement: Confinement | undefined;
  /** What stops it. */
  readonly stopSignal: NodeJS.Signals | number;
}

/** How a container ended, or never began: exit code 128, reason `StartError`. Times in ns since the epoch, 0 for never. */
export interface Ending {
  readonly startedAt: bigint;
  readonly finishedAt: bigint;
  readonly exitCode: number;
  readonly reason: 'Completed' | 'Error' | 'OOMKilled' | 'StartError';
  readonly message: string;
}

interface Running {
  readonly name: 'running';
  readonly startedAt: bigint;
  readonly process: RunningProcess;
  readonly hub: OutputHub;
  readonly log: ContainerLog | undefined;
  /** Settles when the phase has become `exited`. */
  readonly ended: Promise<void>;
}

type Phase =
  | { readonly name: 'created' }
  | { readonly name: 'starting'; readonly settled: Promise<void> }
  | Running
  | ({ readonly name: 'exited' } & Ending);

/** What runs beside the container's own process. */
export interface ExecRequest {
  readonly argv: readonly string[];
  readonly tty?: TerminalSize | true;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/**
 * One container: a process and what belongs to it.
 *
 * ```
 * created ─start→ starting ─→ running ─its process ends→ exited · starting ─it cannot start→ exited
 * ```
 * Owns: the process and all that came from it (execs too), the log file, its directory.
 * @see cri.md 4.2, 4.3
 */
export class Container {
  readonly id: string;
  readonly name: string;
  readonly options: ContainerOptions;
  readonly createdAt = nowNs();
  #resources: LinuxContainerResources | undefined;
  #phase: Phase = { name: 'created' };
  #execs = 0;

  constructor(options: ContainerOptions) {
    this.id = options.id;
    this.name = options.name;
    this.options = options;
    this.#resources = options.config.linux?.resources;
  }

  /** As it was made with, or as {@link update} left it. */
  get resources(): LinuxContainerResources | undefined {
    return this.#resources;
  }

  /**
   * Changes what it may use: at once while it runs, else when it is started.
   *
   * @throws RuntimeCallError with what cannot be set; FailedPrecondition without walls, for then nothing is limited
   */
  update(given: LinuxContainerResources): void {
    const { confinement } = this.options;
    if (this.#phase.name === 'exited') {
      throw new RuntimeCallError(grpcCodes.Unknown, `container ${this.id} is in ${this.stateName()} state`);
    }
    if (confinement === undefined) {
      const rule = 'a container of the host image has no cgroup, so nothing of it is limited';
      throw new RuntimeCallError(grpcCodes.FailedPrecondition, `cannot update container ${this.id}: ${rule}`);
    }
    this.#resources = { $typeName: 'runtime.v1.LinuxContainerResources', ...confinement.options.cgroup.update(given) };
  }

  get phase(): Phase['name'] {
    return this.#phase.name;
  }

  /** Of a running container, in ns since the epoch. */
  get startedAt(): bigint {
    return this.#phase.name === 'running' || this.#phase.name === 'exited' ? this.#phase.startedAt : 0n;
  }

  get ending(): Ending | undefined {
    return this.#phase.name === 'exited' ? this.#phase : undefined;
  }

  /** @throws RuntimeCallError Unknown when it is not in state created, or cannot start: then it is exited */
  async start(): Promise<void> {
    if (this.#phase.name !== 'created') {
      throw new RuntimeCallError(grpcCodes.Unknown, `container ${this.id} is in ${this.stateName()} state`);
    }
    let settle = (): void => {};
    const settled = new Promise<void>((resolve) => {
      settle = resolve;
    });
    this.#phase = { name: 'starting', settled };
    try {
      this.#phase = await this.#launch();
    } catch (thrown) {
      const message = `unable to start container process: ${toError(thrown).message}`;
      const at = nowNs();
      this.#phase = { name: 'exited', startedAt: 0n, finishedAt: at, exitCode: 128, reason: 'StartError', message };
      throw new RuntimeCallError(grpcCodes.Unknown, `failed to start container ${this.id}: ${message}`, {
        cause: thrown,
      });
    } finally {
      settle();
    }
  }

  /**
   * Signal to the first process, SIGKILL to all after `graceMs`; 0 is SIGKILL at once. Resolves when it has ended.
   *
   * @param signal a name, or a number for a real-time signal
   */
  async stop(signal: NodeJS.Signals | number, graceMs: number): Promise<void> {
    if (this.#phase.name === 'starting') await this.#phase.settled;
    if (this.#phase.name !== 'running') return;
    const { process, ended } = this.#phase;
    const { confinement } = this.options;
    // The kernel would drop the signal, and everybody would wait for nothing.
    if (graceMs > 0 && confinement?.isDeafTo(signal) !== true) {
      if (confinement === undefined) process.signal(signal);
      else confinement.signal(signal);
      if (await endsWithin(process.exited, graceMs)) return ended;
    }
    await process.kill();
    return ended;
  }

  /**
   * Starts a command in the container's environment, directory and user.
   *
   * @throws CommandStartError; RuntimeCallError Unknown when the container does not run
   */
  async exec(request: ExecRequest): Promise<RunningProcess> {
    const running = this.running();
    this.#execs += 1;
    const { env, cwd, marker, pipes } = this.options;
    const spec = this.#spec({ env, cwd, ...request, marker: `${marker}/${this.#execs}` });
    const { confinement } = this.options;
    const started = await (confinement === undefined ? startProcess(spec, { pipes }) : confinement.exec(spec));
    if (this.#phase === running) return started;
    await started[Symbol.asyncDispose]();
    throw this.#notRunning();
  }

  /** @throws RuntimeCallError Unknown when the container does not run */
  attach(options: { readonly stdin: boolean }): Attachment {
    return this.running().hub.attach(options);
  }

  /** @throws RuntimeCallError Unknown when the container does not run */
  resize(size: TerminalSize): void {
    this.running().process.resize(size);
  }

  /** Settles with how the container ended, once all its output has been given out. @throws as {@link attach} */
  async exited(): Promise<ProcessExit> {
    const { process, ended } = this.running();
    const exit = await process.exited;
    await ended;
    return exit;
  }

  /** Resolves when it has ended, at once when it does not run. */
  async whenEnded(): Promise<void> {
    if (this.#phase.name === 'running') await this.#phase.ended;
  }

  /** @throws RuntimeCallError Unknown when it does not run */
  async reopenLog(): Promise<void> {
    if (this.#phase.name !== 'running') throw new RuntimeCallError(grpcCodes.Unknown, 'container is not running');
    await this.#phase.log?.reopen();
  }

  /** Pid of the first process while it runs. */
  get pid(): number | undefined {
    if (this.#phase.name !== 'running') return undefined;
    return this.options.confinement?.pid ?? this.#phase.process.pid;
  }

  /** Kills what runs and removes the directory; the log stays. */
  async remove(): Promise<void> {
    await this.stop('SIGKILL', 0);
    await this.options.confinement?.close();
    rmSync(this.options.directory, { recursive: true, force: true });
  }

  stateName(): string {
    return `CONTAINER_${this.#phase.name === 'starting' ? 'CREATED' : this.#phase.name.toUpperCase()}`;
  }

  /** @throws RuntimeCallError Unknown, in containerd's words */
  running(): Running {
    if (this.#phase.name !== 'running') throw this.#notRunning();
    return this.#phase;
  }

  #notRunning(): RuntimeCallError {
    return new RuntimeCallError(grpcCodes.Unknown, `container is in ${this.stateName()} state`);
  }

  async #launch(): Promise<Running> {
    const { config, directory, argv, env, cwd, user, marker, logPath, pipes, confinement } = this.options;
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    if (confinement === undefined && user !== undefined && getuid?.() === 0) chownSync(directory, user.uid, user.gid);
    const log = logPath === undefined ? undefined : await ContainerLog.open(logPath);
    let process: RunningProcess;
    try {
      const { tty, stdin } = config;
      const spec = this.#spec({ argv, env, cwd, stdin, stdout: true, stderr: true, marker, ...(tty && { tty }) });
      process = await (confinement === undefined ? startProcess(spec, { pipes }) : confinement.start(spec));
    } catch (thrown) {
      await log?.close();
      throw thrown;
    }
    const startedAt = nowNs();
    // Who leaves a terminal leaves it open for the next, as containerd does.
    const hub = new OutputHub(process, log, config.stdinOnce && !config.tty);
    const ended = this.#whenEnded(process, hub, startedAt);
    return { name: 'running', startedAt, process, hub, log, ended };
  }

  #spec(spec: ProcessSpec): ProcessSpec {
    return this.options.user === undefined ? spec : { ...spec, user: this.options.user };
  }

  /** A container ends with its first process: whatever else runs in it is killed, its output taken, its log closed. */
  async #whenEnded(process: RunningProcess, hub: OutputHub, startedAt: bigint): Promise<void> {
    const { code } = await process.exited;
    const finishedAt = nowNs();
    await process.kill();
    const wasOutOfMemory = await this.options.confinement?.ended();
    const [isTaken] = await Promise.all([endsWithin(hub.ended, DRAIN_MS), process.drained(DRAIN_MS)]);
    if (!isTaken) {
      hub.cutOff();
      // The log gets the rest now; a disk that takes nothing does not keep the container from having ended.
      await endsWithin(hub.ended, DRAIN_MS);
    }
    const reason = code === 0 ? 'Completed' : wasOutOfMemory === true ? 'OOMKilled' : 'Error';
    this.#phase = { name: 'exited', startedAt, finishedAt, exitCode: code, reason, message: '' };
  }
}

/** Now, in ns since the epoch. */
export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
