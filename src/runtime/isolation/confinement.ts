import {
  closeSync,
  existsSync,
  constants as files,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { type ContainerConfig, grpcCodes, NamespaceMode, RuntimeCallError } from '../../cri/index.ts';
import { FolderMeter } from '../folder-meter.ts';
import { RootFolder } from '../image/index.ts';
import {
  CommandStartError,
  childrenOf,
  type FifoPool,
  lookUpCommand,
  type ProcessSpec,
  type RunningProcess,
  startProcess,
} from '../process/index.ts';
import { requireDirectory, withTerminal } from './confined-command.ts';
import { ConfinedExecs } from './confined-exec.ts';
import type { ContainerCgroup } from './container-cgroup.ts';
import { dropContainerRoot, writtenBelow } from './container-root.ts';
import { passEnvironment } from './environment.ts';
import { readText } from './file-text.ts';
import type { ImageUser } from './image-user.ts';
import { mountCommands } from './mount-plan.ts';
import type { Pod } from './pod.ts';
import { isDeafTo } from './signal-deafness.ts';
import { runTool } from './tool.ts';
import type { ToolsRoot } from './tools-root.ts';
import { wayToStart } from './way-in.ts';

export interface ConfinementOptions {
  readonly config: ContainerConfig;
  /** The container's own folder, with its root mounted in it. */
  readonly directory: string;
  /** As {@link makeContainerRoot} made it. */
  readonly root: string;
  readonly pod: Pod;
  readonly tools: () => Promise<ToolsRoot>;
  readonly user: ImageUser;
  /** What the container's root user may do, in setpriv's spelling. */
  readonly capabilities: readonly string[];
  /** Pid on the host of the container whose pid namespace is joined for `TARGET`; undefined when it does not run. */
  readonly targetPid: () => number | undefined;
  readonly pipes: FifoPool;
  /** What it may use. */
  readonly cgroup: ContainerCgroup;
}

/** How a container's own command is started; by default it does not outlive us. */
export interface StartWays {
  readonly launch?: (spec: ProcessSpec) => Promise<RunningProcess>;
  /** Everything is made, and nothing of the command has run yet. */
  readonly onReady?: () => void;
}

/**
 * One container's walls: a root file system, a mount namespace and a pid namespace of its own, those of its pod, a user,
 * capabilities. Everything is done by util-linux; the first process of the container is the command itself.
 *
 * Owns: the mounts of its folder.
 * @see docs/adr/0030-containers-by-util-linux.md
 */
export class Confinement {
  readonly options: ConfinementOptions;
  /** What the container has written. */
  readonly layer: FolderMeter;
  #first: number | undefined;
  readonly #execs: ConfinedExecs;

  constructor(options: ConfinementOptions) {
    this.options = options;
    this.layer = new FolderMeter(writtenBelow(options.directory));
    this.#execs = new ConfinedExecs(options, () => this.#first);
  }

  /** Pid of the container's first process, on the host. */
  get pid(): number | undefined {
    return this.#first;
  }

  /**
   * Starts the container's own command.
   *
   * @throws CommandStartError; ExecPathError ERR_ISOLATION with what a tool said; RuntimeCallError for mounts
   */
  async start(wanted: ProcessSpec, { launch, onReady }: StartWays = {}): Promise<RunningProcess> {
    const spec = withTerminal(wanted);
    const { directory, root, user, pipes, pod } = this.options;
    const tools = await this.options.tools();
    const file = (name: (typeof START_FILES)[number]): string => join(directory, name);
    const [env, ready, go, table] = [file('environment'), file('ready'), file('go'), file('mounts')];
    new RootFolder(root).folder(spec.cwd);
    const { place: target, skeleton } = tools;
    const commands = mountCommands({ ...this.options, target, skeleton, table });
    const pidNamespace = await this.#pidNamespace();
    await pipes.place(ready);
    await pipes.place(go);
    const { argv, evaluate } = passEnvironment(spec.argv, spec.env, {
      file: env,
      user,
      root,
      cwd: spec.cwd,
      beforeHostProgram: false,
    });
    const isReady = openSync(ready, files.O_RDONLY | files.O_NONBLOCK);
    const start = launch ?? ((ready: ProcessSpec) => startProcess(ready, { pipes }));
    const process = await start({
      ...spec,
      argv,
      confined: true,
      user,
      wrapper: wayToStart({
        files: [join(directory, 'error'), env, ready, go],
        commands,
        evaluate,
        pod,
        tools,
        rights: this.options,
        spec,
        pidNamespace,
      }),
    }).catch((thrown: unknown) => {
      closeSync(isReady);
      throw thrown;
    });
    try {
      await this.#finish(process, isReady, { ...spec, argv });
      // It waits: nothing that the container asked for has run yet, and it has no children.
      this.options.cgroup.begin(this.#first ?? 0);
      const shell = readText(`/proc/${this.#first}/cmdline`);
      onReady?.();
      letGo(go);
      await this.#becomes(shell);
      return process;
    } catch (thrown) {
      await process[Symbol.asyncDispose]();
      await this.ended();
      throw thrown;
    } finally {
      for (const name of START_FILES) rmSync(file(name), { force: true });
    }
  }

  /**
   * Finds the container's own command again, which another process of ours started.
   *
   * @param parent of the first process
   */
  adopt(parent: number): void {
    const { directory } = this.options;
    this.#first = childrenOf(parent)[0] ?? (parent > 0 ? parent : undefined);
    this.options.cgroup.adopt(this.#first);
    try {
      // Whoever was to say it may have been killed before that.
      letGo(join(directory, 'go'));
    } catch {
      // ENOENT, ENXIO: nobody waits for it.
    }
    this.#dropFiles();
  }

  /** Takes back a start that came to nothing, when its processes are gone. */
  async takeBack(): Promise<void> {
    this.#dropFiles();
    await this.options.cgroup.end();
  }

  #dropFiles(): void {
    const { directory } = this.options;
    for (const name of existsSync(directory) ? readdirSync(directory) : []) {
      const isOfStart = (START_FILES as readonly string[]).includes(name);
      if (isOfStart || /^(environment|exec-errors)-\d+$/.test(name)) rmSync(join(directory, name), { force: true });
    }
  }

  /**
   * Starts a command beside the first process. Who waits for its end hears there of a way in that failed.
   *
   * @throws CommandStartError, which says so when the container is gone; RuntimeCallError when exec cannot keep the
   * container's limits
   */
  exec(wanted: ProcessSpec): Promise<RunningProcess> {
    return this.#execs.start(wanted);
  }

  /** Whether the first process would not hear `signal`. */
  isDeafTo(signal: NodeJS.Signals | number): Promise<boolean> {
    return isDeafTo(this.#first, signal);
  }

  /** To the first process alone. */
  signal(signal: NodeJS.Signals | number): void {
    try {
      if (this.#first !== undefined) process.kill(this.#first, signal);
    } catch {
      // ESRCH: it has ended.
    }
  }

  /**
   * After the first process: ends what is still in the cgroup.
   *
   * @returns whether the kernel killed in it because the memory was all used
   */
  ended(): Promise<boolean> {
    return this.options.cgroup.end();
  }

  async close(): Promise<void> {
    await this.ended();
    await dropContainerRoot(this.options.directory);
  }

  /** Waits until `shell`, a command line, is the command, or gone; who looks at a started container must not see the shell. */
  async #becomes(shell: string): Promise<void> {
    const deadline = performance.now() + BECOME_MS;
    const isShell = (): boolean => readText(`/proc/${this.#first}/cmdline`) === shell && shell !== '';
    while (isShell() && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async #pidNamespace(): Promise<string | undefined> {
    const { pod, config, targetPid } = this.options;
    const mode = config.linux?.securityContext?.namespaceOptions?.pid ?? NamespaceMode.POD;
    if (mode === NamespaceMode.CONTAINER) return undefined;
    if (mode === NamespaceMode.POD) return pod.pidNamespace();
    if (mode !== NamespaceMode.TARGET) return '/proc/self/ns/pid';
    const target = targetPid();
    if (target !== undefined) return `/proc/${target}/ns/pid`;
    throw new RuntimeCallError(grpcCodes.Unknown, 'the container whose processes are wanted does not run');
  }

  /** Puts the container's root under the waiting shell, and takes away what was its root before. */
  async #finish(process: RunningProcess, ready: number, spec: ProcessSpec): Promise<void> {
    const { directory, user } = this.options;
    if (!(await isSaid(ready, process.exited))) throw await this.#failure(process, join(directory, 'error'));
    const first = childrenOf(process.pid)[0] ?? process.pid;
    this.#first = first;
    const waiting = `/proc/${first}/root/r`;
    requireDirectory(spec.cwd, waiting);
    lookUpCommand(spec.argv[0] ?? '', { path: spec.env['PATH'] ?? '', cwd: spec.cwd, root: waiting, user });
    await runTool(['sh', '-c', PUT_UNDER, 'podwire', String(first)]);
    rmdirSync(`/proc/${first}/root/dev/.old`);
  }

  async #failure(process: RunningProcess, file: string): Promise<Error> {
    const { code } = await process.exited;
    const said = readText(file);
    return new CommandStartError('ERR_COMMAND_START', said === '' ? `isolation ended with code ${code}` : said);
  }
}

/** In the container's directory for the time of a start. */
const START_FILES = ['environment', 'ready', 'go', 'mounts'] as const;

/** The second program is of the host, whose root it keeps. */
const PUT_UNDER =
  'nsenter "--mount=/proc/$1/ns/mnt" -- pivot_root /r /r/dev/.old && ' +
  'exec nsenter "--mount=/proc/$1/ns/mnt" --root=/ --wd=/ -- umount -l "/proc/$1/root/dev/.old"';

/** Tells the shell that waits to become the command. */
function letGo(file: string): void {
  const release = openSync(file, files.O_WRONLY | files.O_NONBLOCK);
  try {
    writeSync(release, '\n');
  } finally {
    closeSync(release);
  }
}

/** An execve(2) takes a millisecond; on a machine where it takes longer than this, in ms, nobody waits for it. */
const BECOME_MS = 2_000;
/** Mounts take milliseconds each; one whose file system does not answer is not waited for longer than this, in ms. */
const MAKE_MS = 120_000;

/**
 * Whether a byte arrives on a FIFO before its writers are gone.
 *
 * @throws CommandStartError ERR_COMMAND_START after {@link MAKE_MS}
 */
async function isSaid(fd: number, ended: Promise<unknown>): Promise<boolean> {
  const reader = new Socket({ fd, readable: true, writable: false });
  let late: NodeJS.Timeout | undefined;
  try {
    return await new Promise<boolean>((resolve, reject) => {
      reader.once('data', () => resolve(true));
      reader.once('end', () => resolve(false));
      reader.once('error', () => resolve(false));
      void ended.then(() => resolve(false));
      late = setTimeout(() => {
        const rule = `its mounts were not made within ${MAKE_MS / 1000} s: does a file system of a volume answer?`;
        reject(new CommandStartError('ERR_COMMAND_START', rule));
      }, MAKE_MS);
    });
  } finally {
    clearTimeout(late);
    reader.destroy();
  }
}
