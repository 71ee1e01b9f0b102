import { chownSync, mkdirSync, rmSync } from 'node:fs';
import { getuid } from 'node:process';
import { toError } from '../common/errors.ts';
import { SingleFlight } from '../common/single-flight.ts';
import type { TerminalSize } from '../common/terminal-size.ts';
import { type ContainerConfig, grpcCodes, type LinuxContainerResources, RuntimeCallError } from '../cri/index.ts';
import { ContainerKeeping } from './container-keeping.ts';
import { ContainerLog } from './container-log.ts';
import { endsWithin } from './deadline.ts';
import { type Ending, endingOf, nowNs, outOfMemory, UNKNOWN_CODE } from './ending.ts';
import type { Confinement } from './isolation/index.ts';
import type { Stored } from './object-store.ts';
import { type Attachment, OutputHub } from './output-hub.ts';
import {
  type FifoPool,
  type MarkedProcess,
  type ProcessExit,
  type ProcessSpec,
  type ProcessUser,
  type RunningProcess,
  startProcess,
} from './process/index.ts';
import type { ContainerRecord, RecordedPhase } from './record.ts';
import type { RecordFolder } from './record-folder.ts';

/** How long attached readers have to take the last output of a container that has ended, in ms. */
const DRAIN_MS = 2_000;

export interface ContainerOptions extends Stored {
  readonly podSandboxId: string;
  readonly config: ContainerConfig;
  /** Its own directory, made at start and removed with it. */
  readonly directory: string;
  /** The folder of its streams and exit code while it runs. */
  readonly keptDir: string;
  readonly records: RecordFolder;
  /** Names this run of the runtime. */
  readonly run: string;
  /** Default: now. */
  readonly createdAt?: bigint;
  /** What it may use now. Default: what its configuration says. */
  readonly resources?: LinuxContainerResources;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: ProcessUser | undefined;
  /** Absolute, or undefined for no log. */
  readonly logPath: string | undefined;
  /** Mark of the container's processes; those of an exec add `/`, the run and a number. */
  readonly marker: string;
  /** Mark of who keeps it. */
  readonly keeperMarker: string;
  readonly pipes: FifoPool;
  /** What its status says of its image. */
  readonly image: { readonly id: string; readonly reference: string };
  /** Default: whether there is a `confinement`. */
  readonly hasWalls?: boolean;
  /** Its walls; undefined for the host image, or when they are gone. */
  readonly confinement: Confinement | undefined;
  /** What stops it. */
  readonly stopSignal: NodeJS.Signals | number;
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
 * restored: starting → created or running, running → running or exited
 * ```
 * Owns: the process and all that came from it (execs too), the log file, its directory, its record.
 * @see cri.md 4.2, 4.3
 */
export class Container {
  readonly id: string;
  readonly name: string;
  readonly options: ContainerOptions;
  readonly createdAt: bigint;
  readonly #keeping: ContainerKeeping;
  #resources: LinuxContainerResources | undefined;
  #phase: Phase = { name: 'created' };
  readonly #removal = new SingleFlight(() => this.#remove());
  #execs = 0;

  constructor(options: ContainerOptions) {
    this.id = options.id;
    this.name = options.name;
    this.options = options;
    this.#keeping = new ContainerKeeping(options);
    this.#resources = options.resources ?? options.config.linux?.resources;
    this.createdAt = options.createdAt ?? nowNs();
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
    this.options.records.attempt(() => this.save());
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
      this.#end({ startedAt: 0n, finishedAt: nowNs(), exitCode: 128, reason: 'StartError', message });
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
    if (graceMs > 0) {
      if (confinement === undefined) process.signal(signal);
      else confinement.signal(signal);
      // What the kernel drops nobody needs to wait for.
      const isLost = (await confinement?.isDeafTo(signal)) === true;
      if (!isLost && (await endsWithin(process.exited, graceMs))) return ended;
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
    const { env, cwd, marker, pipes, run, confinement } = this.options;
    const name = `${run}-${this.#execs}`;
    const spec = this.#spec({ env, cwd, ...request, marker: `${marker}/${name}` });
    const note = this.#keeping.noteExec(running.process, name);
    let started: RunningProcess;
    try {
      started = await (confinement === undefined ? startProcess(spec, { pipes }) : confinement.exec(spec));
    } catch (thrown) {
      note.remove();
      throw thrown;
    }
    void started.exited.then(() => note.remove());
    // Whoever ended the container may have looked for what runs in it before this did: how it ended is told as ever.
    if (this.#phase !== running) await started.kill();
    return started;
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

  /** Kills what runs and removes the directory; the log stays. Twice is once. */
  remove(): Promise<void> {
    return this.#removal.run();
  }

  async #remove(): Promise<void> {
    await this.stop('SIGKILL', 0);
    // Whatever is there without a record is cleared away by the next runtime, if it must.
    this.options.records.remove('container', this.id);
    await this.options.confinement?.close();
    rmSync(this.options.directory, { recursive: true, force: true });
  }

  /** Writes down what there is to know of it. */
  save(phase: RecordedPhase = this.#recordedPhase()): void {
    const { id, name, createdAt } = this;
    const { podSandboxId, config, argv, env, cwd, user, logPath, image, confinement, stopSignal } = this.options;
    const record: ContainerRecord = {
      format: 1,
      id,
      name,
      createdAt,
      podSandboxId,
      config,
      argv: [...argv],
      env: { ...env },
      cwd,
      image,
      phase,
      ...(user && { user: { ...user, ...(user.groups && { groups: [...user.groups] }) } as ContainerRecord['user'] }),
      ...(logPath !== undefined && { logPath }),
      ...(this.#resources && { resources: this.#resources }),
      hasWalls: this.options.hasWalls ?? confinement !== undefined,
      stopSignal,
    };
    this.options.records.writeContainer(record);
  }

  /**
   * Takes up the life of a container that another runtime left, wherever that was when it ended.
   *
   * @param marked all processes with a mark of the container or of who keeps it
   * @returns what had to be mended, or undefined
   */
  async restore(recorded: RecordedPhase, marked: readonly MarkedProcess[]): Promise<string | undefined> {
    const { confinement } = this.options;
    if (recorded.name === 'exited') {
      this.#phase = recorded;
      return this.#keeping.clear(marked);
    }
    // With walls nothing of the command has run before its record says so.
    const mayRun = recorded.name === 'running' || (recorded.name === 'starting' && confinement === undefined);
    if (mayRun) {
      const process = await this.#keeping.adopt(marked);
      const { startedAt } = recorded;
      if (process !== undefined) {
        confinement?.adopt(process.pid);
        const running = await this.#run(process, startedAt, { isRestored: true });
        this.#phase = running;
        // Nobody is to see it running that has ended long ago.
        if (this.#keeping.exit !== undefined) await running.ended;
        if (recorded.name === 'starting' && running === this.#phase) this.options.records.attempt(() => this.save());
        if (running === this.#phase) this.#keeping.hangUpExecs();
        return undefined;
      }
      const exit = this.#keeping.exit;
      if (exit !== undefined || recorded.name === 'running') {
        await this.#keeping.clear(marked);
        confinement?.options.cgroup.adopt();
        const wasOutOfMemory = await confinement?.ended();
        const ending = { startedAt, ...endingOf(exit ?? { code: UNKNOWN_CODE, isLost: true }) };
        this.#end(wasOutOfMemory === true ? outOfMemory(ending) : ending);
        return exit === undefined ? 'it is gone, and so is who kept it: exit code unknown' : undefined;
      }
    }
    const was = await this.#keeping.clear(marked);
    await confinement?.takeBack();
    if (recorded.name === 'created') return was;
    this.options.records.attempt(() => this.save());
    return 'its start was cut short and is taken back';
  }

  /** The container cannot be started or found any more, though nobody saw it end. */
  giveUp(recorded: RecordedPhase, message: string): void {
    if (recorded.name === 'exited') this.#phase = recorded;
    else {
      const startedAt = recorded.name === 'created' ? 0n : recorded.startedAt;
      this.#end({ startedAt, finishedAt: nowNs(), exitCode: UNKNOWN_CODE, reason: 'Unknown', message });
    }
  }

  /** Leaves what runs to the next runtime, with all output so far in its log; what cannot be left is ended. */
  async leave(): Promise<void> {
    if (this.#phase.name === 'starting') await this.#phase.settled;
    if (this.#phase.name !== 'running') return;
    const { process, hub, log } = this.#phase;
    if (process.kept === undefined) return this.stop('SIGKILL', 0);
    log?.suspend();
    process.kept.leave();
    if (!(await endsWithin(hub.ended, DRAIN_MS))) {
      hub.cutOff();
      await endsWithin(hub.ended, DRAIN_MS);
    }
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
    const { directory, argv, env, cwd, user, confinement } = this.options;
    const startedAt = nowNs();
    this.save({ name: 'starting', startedAt });
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    if (confinement === undefined && user !== undefined && getuid?.() === 0) chownSync(directory, user.uid, user.gid);
    const spec = this.#spec({ argv, env, cwd, ...this.#keeping.spec });
    const launch = (wanted: ProcessSpec): Promise<RunningProcess> => this.#keeping.start(wanted);
    const onReady = (): void => this.save({ name: 'running', startedAt });
    const process = await (confinement === undefined ? launch(spec) : confinement.start(spec, { launch, onReady }));
    try {
      if (confinement === undefined) onReady();
      return await this.#run(process, startedAt);
    } catch (thrown) {
      await process[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  async #run(
    process: RunningProcess,
    startedAt: bigint,
    { isRestored = false }: { readonly isRestored?: boolean } = {},
  ): Promise<Running> {
    const { config, logPath } = this.options;
    const rest = process.kept === undefined ? {} : { restFile: this.#keeping.restFile };
    const log = logPath === undefined ? undefined : await ContainerLog.open(logPath, { ...rest, isRestored });
    // Who leaves a terminal leaves it open for the next, as containerd does.
    const hub = new OutputHub(process, log, config.stdinOnce && !config.tty);
    const ended = this.#whenEnded(process, hub, startedAt);
    return { name: 'running', startedAt, process, hub, log, ended };
  }

  /** On disk first: who keeps it is let go only afterwards. */
  #end(ending: Ending): void {
    const phase = { name: 'exited', ...ending } as const;
    this.options.records.attempt(() => this.save(phase));
    this.#phase = phase;
  }

  #recordedPhase(): RecordedPhase {
    const phase = this.#phase;
    switch (phase.name) {
      case 'created':
        return { name: 'created' };
      case 'starting':
        return { name: 'starting', startedAt: nowNs() };
      case 'running':
        return { name: 'running', startedAt: phase.startedAt };
      case 'exited':
        return phase;
    }
  }

  #spec(spec: ProcessSpec): ProcessSpec {
    return this.options.user === undefined ? spec : { ...spec, user: this.options.user };
  }

  /** A container ends with its first process: whatever else runs in it is killed, its output taken, its log closed. */
  async #whenEnded(process: RunningProcess, hub: OutputHub, startedAt: bigint): Promise<void> {
    const exit = await process.exited;
    const ending = { startedAt, ...endingOf(exit) };
    await process.kill();
    const wasOutOfMemory = await this.options.confinement?.ended();
    const [isTaken] = await Promise.all([endsWithin(hub.ended, DRAIN_MS), process.drained(DRAIN_MS)]);
    if (!isTaken) {
      hub.cutOff();
      // The log gets the rest now; a disk that takes nothing does not keep the container from having ended.
      await endsWithin(hub.ended, DRAIN_MS);
    }
    this.#end(wasOutOfMemory === true ? outOfMemory(ending) : ending);
    await process.kept?.release();
  }
}
