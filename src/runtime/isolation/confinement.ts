import {
  closeSync,
  existsSync,
  constants as files,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { toError } from '../../common/errors.ts';
import { type ContainerConfig, grpcCodes, NamespaceMode, RuntimeCallError } from '../../cri/index.ts';
import { FolderMeter } from '../folder-meter.ts';
import { RootFolder } from '../image/index.ts';
import {
  CommandStartError,
  childrenOf,
  type FifoPool,
  IdMap,
  lookUpCommand,
  nativePty,
  type ProcessExit,
  type ProcessSpec,
  type RunningProcess,
  resolveInside,
  startProcess,
} from '../process/index.ts';
import type { ContainerCgroup } from './container-cgroup.ts';
import { outOfMemoryScoreOf } from './container-cgroup.ts';
import { dropContainerRoot, writtenBelow } from './container-root.ts';
import { passEnvironment } from './environment.ts';
import type { ImageUser } from './image-user.ts';
import { mountCommands } from './mount-plan.ts';
import type { Pod } from './pod.ts';
import { runTool } from './tool.ts';
import type { ToolsRoot } from './tools-root.ts';
import { hasBecome, isOurs, wayToExec, wayToStart } from './way-in.ts';

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
  #execs = 0;

  constructor(options: ConfinementOptions) {
    this.options = options;
    this.layer = new FolderMeter(writtenBelow(options.directory));
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
  async exec(wanted: ProcessSpec): Promise<RunningProcess> {
    try {
      return await this.#exec(wanted);
    } catch (thrown) {
      // A root that is not there any more looks like one without the command, the folder, the file.
      throw this.#isGone ? goneError(toError(thrown).message, thrown) : thrown;
    }
  }

  async #exec(wanted: ProcessSpec): Promise<RunningProcess> {
    // Among the machine's processes its session is right as it is, and setsid(1) would end before the command.
    const leavesPids = !isOurs(`/proc/${this.#first}/ns/pid`);
    const takesTerminal = wanted.tty !== undefined && leavesPids && (IdMap.own().isWhole || nativePty() !== undefined);
    const spec = { ...withTerminal(wanted), takesTerminal };
    const { directory, user, pipes } = this.options;
    const tools = await this.options.tools();
    const root = `/proc/${this.#first}/root`;
    requireDirectory(spec.cwd, root);
    const lookUp = (name: string): string =>
      lookUpCommand(name, { path: spec.env['PATH'] ?? '', cwd: spec.cwd, root, user });
    lookUp(spec.argv[0] ?? '');
    this.#execs += 1;
    const env = join(directory, `environment-${this.#execs}`);
    const errors = join(directory, `exec-errors-${this.#execs}`);
    let complaints: number | undefined;
    try {
      const { argv, evaluate } = passEnvironment(spec.argv, spec.env, {
        file: env,
        user,
        root,
        cwd: spec.cwd,
        beforeHostProgram: true,
      });
      // With a block of its own already: on a disk that is full for the container's user it is still said who got there.
      writeFileSync(errors, '\n', { mode: 0o600 });
      // Open from here on: a container that is removed takes the file along before it is read.
      const held = openSync(errors, 'r');
      complaints = held;
      const first = this.#first ?? 0;
      const way = {
        files: [errors, env] as const,
        evaluate,
        first,
        tools,
        memberFiles: this.options.cgroup.memberFiles,
        outOfMemoryScore: outOfMemoryScoreOf(first),
        program: lookUp(argv[0] ?? ''),
      };
      return await startProcess(
        { ...spec, argv, confined: true, user, wrapper: wayToExec({ ...way, rights: this.options, spec }) },
        { pipes, judge: (exit) => this.#judge(exit, held, errors) },
      );
    } catch (thrown) {
      if (complaints !== undefined) closeSync(complaints);
      rmSync(errors, { force: true });
      throw thrown;
    } finally {
      // The shell has it open once the process runs; a name is needed only until then.
      setTimeout(() => rmSync(env, { force: true }), ENVIRONMENT_MS).unref();
    }
  }

  /**
   * How an exec ended: as its command did, or before that was reached, when the code is that of a tool.
   *
   * @param complaints where the tools of its way in complained, open; closed
   * @param errors the same by its path; removed
   */
  async #judge(exit: ProcessExit, complaints: number, errors: string): Promise<ProcessExit> {
    const said = readEnd(complaints);
    closeSync(complaints);
    rmSync(errors, { force: true });
    // No tool ends well but as the command.
    if (exit.code === 0 || hasBecome(said)) return exit;
    const words = said.trim();
    // Whoever ends a container may reach those on their way in before its first process.
    if (exit.code === KILLED) await this.#gone();
    if (this.#isGone) return { ...exit, failure: goneError(words) };
    const failed = words || `the way into the container ended with code ${exit.code}`;
    return { ...exit, failure: new CommandStartError('ERR_COMMAND_START', failed) };
  }

  /** A process that ends loses its root before anybody hears of its end. */
  get #isGone(): boolean {
    return !existsSync(`/proc/${this.#first}/root`);
  }

  /** Resolves when the container is gone, or {@link GONE_MS} have passed. */
  async #gone(): Promise<void> {
    const deadline = performance.now() + GONE_MS;
    while (!this.#isGone && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /**
   * Whether `signal` is lost: the kernel keeps from the first process of a pid namespace what it neither catches nor blocks
   * nor waits for. It is looked at more than once: an init blocks signals and waits for them by turns.
   */
  async isDeafTo(signal: NodeJS.Signals | number): Promise<boolean> {
    const number = typeof signal === 'number' ? signal : constants.signals[signal];
    for (let look = 0; look < DEAF_LOOKS; look += 1) {
      if (look > 0) await new Promise((resolve) => setTimeout(resolve, DEAF_LOOK_MS));
      if (!this.#drops(number)) return false;
    }
    return true;
  }

  /** What cannot be read is taken for one that hears. */
  #drops(signal: number): boolean {
    const isWaiting = (): boolean => {
      const call = readText(`/proc/${this.#first}/syscall`);
      return call === '' || SIGNAL_WAIT === undefined || call.startsWith(`${SIGNAL_WAIT} `);
    };
    if (isWaiting()) return false;
    const status = readText(`/proc/${this.#first}/status`);
    const heard = ['SigCgt', 'SigBlk'].map((field) => {
      const [, bits = '0'] = new RegExp(`^${field}:\\s*([0-9a-f]+)`, 'm').exec(status) ?? [];
      return (BigInt(`0x${bits}`) >> BigInt(signal - 1)) & 1n;
    });
    return /^NSpid:.*\s\d+\s+1$/m.test(status) && heard.every((bit) => bit === 0n) && !isWaiting();
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

/** @param words what was heard of it on the way in */
function goneError(words: string, cause?: unknown): CommandStartError {
  const rule = 'the container has ended before the command began';
  return new CommandStartError('ERR_COMMAND_START', words === '' ? rule : `${rule}: ${words}`, cause);
}

/** Tells the shell that waits to become the command. */
function letGo(file: string): void {
  const release = openSync(file, files.O_WRONLY | files.O_NONBLOCK);
  try {
    writeSync(release, '\n');
  } finally {
    closeSync(release);
  }
}

/** A terminal has TERM. */
function withTerminal(spec: ProcessSpec): ProcessSpec {
  return spec.tty === undefined ? spec : { ...spec, env: { TERM: 'xterm', ...spec.env } };
}

/** Number of rt_sigtimedwait(2), where we know it. */
const SIGNAL_WAIT = ({ x64: 128, arm64: 137 } as Readonly<Record<string, number>>)[process.arch];
const DEAF_LOOKS = 4;
/** In ms. */
const DEAF_LOOK_MS = 25;

/** An execve(2) takes a millisecond; on a machine where it takes longer than this, in ms, nobody waits for it. */
const BECOME_MS = 2_000;
/** Mounts take milliseconds each; one whose file system does not answer is not waited for longer than this, in ms. */
const MAKE_MS = 120_000;
/** The code of a process that SIGKILL ended. */
const KILLED = 137;
/** A first process that is killed with all others is gone within milliseconds; longer, in ms, nobody waits for it. */
const GONE_MS = 1_000;
/** How long a shell may take to open the file of an environment, in ms. */
const ENVIRONMENT_MS = 30_000;

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

/** More, in bytes, is not looked at of a file that something of a container may have made long. */
const TEXT_BYTES = 4096;

/** @returns nothing of a file that cannot be read */
function readText(file: string): string {
  try {
    const fd = openSync(file, 'r');
    try {
      return readPart(fd, 0).trim();
    } finally {
      closeSync(fd);
    }
  } catch {
    return '';
  }
}

/** What a file of ours ends with, by its descriptor. */
function readEnd(fd: number): string {
  return readPart(fd, Math.max(0, fstatSync(fd).size - TEXT_BYTES));
}

function readPart(fd: number, position: number): string {
  const bytes = Buffer.alloc(TEXT_BYTES);
  return bytes.toString('utf8', 0, readSync(fd, bytes, { position }));
}

function requireDirectory(cwd: string, root: string): void {
  try {
    if (statSync(resolveInside(root, cwd)).isDirectory()) return;
  } catch {
    // The error says it.
  }
  throw new CommandStartError('ERR_COMMAND_START', `chdir to cwd (${JSON.stringify(cwd)}) failed: no such directory`);
}
