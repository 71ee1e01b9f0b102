import { statSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { ExecPathError, toError } from '../../common/errors.ts';
import type { TerminalSize } from '../../common/terminal-size.ts';
import { CommandStartError, lookUpCommand, type ProcessUser, resolveInside } from './command-lookup.ts';
import { type FifoPool, sharedFifoPool } from './fifo-pool.ts';
import { type Launch, type Launched, launchOnPipes, launchOnTerminal } from './launch.ts';
import { nativePty } from './native-terminal.ts';
import { ProcessTree, SESSION_VARIABLE } from './process-tree.ts';
import { launchOnScript } from './script-terminal.ts';
import type { ProcessExit } from './spawn-child.ts';

/** What a terminal has before its user says; 80 × 24 as everywhere. */
const DEFAULT_SIZE: TerminalSize = { width: 80, height: 24 };
/** Where programs are looked for when the environment has no PATH. */
const FALLBACK_PATH = '/bin:/usr/bin';

export interface ProcessSpec {
  /** The command as typed; no shell sees it. At least one element, no NUL in any. */
  readonly argv: readonly string[];
  /** The whole environment. Added are only {@link SESSION_VARIABLE} and, on a terminal, `TERM=xterm` when absent. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute path of a directory, inside `root` if there is one. */
  readonly cwd: string;
  /** On a terminal of this size (0 or `true`: 80 × 24); otherwise on pipes. */
  readonly tty?: TerminalSize | true;
  readonly stdin: boolean;
  readonly stdout: boolean;
  /** Ignored on a terminal, which has one output. */
  readonly stderr: boolean;
  readonly user?: ProcessUser;
  /** Id of the session, value of {@link SESSION_VARIABLE}; `container/session` belongs to both. No NUL, no space. */
  readonly marker: string;
  /** A command of the host that gets `argv` after its own arguments, such as nsenter(1). */
  readonly wrapper?: readonly string[];
  /**
   * The wrapper sets environment, directory and user itself: it is started as ourselves with nothing but PATH and the
   * marker. `user` then only owns the streams, and nothing is looked up.
   */
  readonly confined?: boolean;
  /** Root directory in which `argv[0]` is looked up; with a wrapper and without this it is not looked up at all. */
  readonly root?: string;
}

/**
 * One process with its streams and everything that it starts.
 *
 * Owns: the process tree, the descriptors of its streams.
 */
export interface RunningProcess extends AsyncDisposable {
  readonly pid: number;
  /**
   * Pipe: `end()` is EOF. Terminal: `end()` means nothing to the process; type ^D (4) where that is wanted.
   * After the process closed its stdin or ended, writes succeed and go nowhere.
   */
  readonly stdin?: Writable;
  /** `end` comes after the last byte. Not reading it stops the process, `destroy()` gives it EPIPE or a hang-up. */
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  /** Terminals only; a width or height of 0 is ignored, and so is everything after the end. */
  resize(size: TerminalSize): void;
  /** Settles once, never rejects. Output may still come. */
  readonly exited: Promise<ProcessExit>;
  /**
   * Resolves when the ends of stdout and stderr are reached, or after `deadlineMs`; then output that others still
   * write is given up. What the process itself wrote comes out before `end` in both cases.
   */
  drained(deadlineMs: number): Promise<void>;
  /** SIGHUP to the process and all that came from it; SIGKILL to what is left after `graceMs`. */
  hangUp(graceMs: number): Promise<void>;
  /** SIGKILL to the process and all that came from it; resolves when they are gone. */
  kill(): Promise<void>;
  /** Sends one signal, by name or number, to the first process alone. */
  signal(signal: NodeJS.Signals | number): void;
  /** Pids of the process and all that came from it. */
  members(): Promise<number[]>;
  /** Kills and gives up the streams. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface StartOptions {
  /** Where pipes come from; by default one pool for the whole program. */
  readonly pipes?: FifoPool;
  /** `script`: a terminal by script(1) even where native code is installed. */
  readonly terminal?: 'script';
}

/**
 * Starts a process.
 *
 * @throws CommandStartError ERR_COMMAND_NOT_FOUND (exit code 127), ERR_COMMAND_NOT_EXECUTABLE or ERR_COMMAND_START (126)
 * @throws ExecPathError ERR_BAD_REQUEST for a `spec` that breaks its rules; ERR_TERMINAL_UNAVAILABLE
 */
export async function startProcess(spec: ProcessSpec, options: StartOptions = {}): Promise<RunningProcess> {
  validate(spec);
  const launch = prepare(spec);
  const launched = await (spec.tty === undefined
    ? launchOnPipes(launch, spec, options.pipes ?? sharedFifoPool())
    : onTerminal(launch, spec.tty === true ? DEFAULT_SIZE : spec.tty, options));
  return new SessionProcess(launched, spec);
}

function validate(spec: ProcessSpec): void {
  const refuse = (message: string): never => {
    throw new ExecPathError('ERR_BAD_REQUEST', message, { hop: 'runtime' });
  };
  if (spec.argv.length === 0) refuse('the command is empty: it needs at least the name of a program');
  const nul = [...spec.argv, spec.cwd, ...Object.entries(spec.env).flat()].find((text) => text.includes('\0'));
  if (nul !== undefined) refuse(`${JSON.stringify(nul)} holds a NUL, which no argument or variable can`);
  const name = Object.keys(spec.env).find((key) => key === '' || key.includes('='));
  if (name !== undefined) refuse(`${JSON.stringify(name)} is no name of an environment variable`);
  if (!spec.cwd.startsWith('/')) refuse(`working directory ${JSON.stringify(spec.cwd)} is not absolute`);
  if (!/^[\w./:-]+$/.test(spec.marker)) refuse(`session id ${JSON.stringify(spec.marker)} has other than [\\w./:-]`);
}

/** Looks up the command and puts the wrappers before it. */
function prepare(spec: ProcessSpec): Launch {
  const { argv, cwd, user } = spec;
  const wrapper = spec.wrapper?.length === 0 ? undefined : spec.wrapper;
  const env: Record<string, string> = { ...spec.env, [SESSION_VARIABLE]: spec.marker };
  if (spec.tty !== undefined) env['TERM'] ??= 'xterm';
  if (spec.confined === true && wrapper !== undefined) {
    const [program = '', ...rest] = wrapper;
    const file = hostProgram(program);
    const clean = { PATH: process.env['PATH'] ?? FALLBACK_PATH, [SESSION_VARIABLE]: spec.marker };
    return { file, argv: [file, ...rest, ...argv], env: clean, cwd: '/', ...(user && { user }) };
  }
  const base = { env, cwd: wrapper === undefined ? cwd : '/', ...(user && { user }) };

  if (wrapper === undefined || spec.root !== undefined) {
    const root = spec.root ?? '/';
    requireDirectory(cwd, root);
    const path = env['PATH'] ?? FALLBACK_PATH;
    const file = lookUpCommand(argv[0] ?? '', { path, cwd, root, ...(user && { user }) });
    if (wrapper === undefined) return withUser({ ...base, file, argv }, user);
  }
  const [program = '', ...rest] = wrapper ?? [];
  const file = hostProgram(program);
  return withUser({ ...base, file, argv: [file, ...rest, ...argv] }, user);
}

/** libuv sets uid and gid, and clears the groups; with groups of its own the process goes through setpriv(1). */
function withUser(launch: Launch, user: ProcessUser | undefined): Launch {
  if (user === undefined) return launch;
  if (user.groups === undefined || user.groups.length === 0) return { ...launch, uid: user.uid, gid: user.gid };
  const file = hostProgram('setpriv');
  const flags = [`--reuid=${user.uid}`, `--regid=${user.gid}`, `--groups=${user.groups.join(',')}`, '--'];
  return { ...launch, file, argv: [file, ...flags, ...launch.argv] };
}

function requireDirectory(cwd: string, root: string): void {
  let why = 'no such file or directory';
  try {
    if (statSync(resolveInside(root, cwd)).isDirectory()) return;
    why = 'not a directory';
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EACCES') why = 'permission denied';
  }
  throw new CommandStartError('ERR_COMMAND_START', `chdir to cwd (${JSON.stringify(cwd)}) failed: ${why}`);
}

/** A program of the host, found by our own PATH. */
function hostProgram(name: string): string {
  return lookUpCommand(name, { path: process.env['PATH'] ?? FALLBACK_PATH, cwd: '/' });
}

function onTerminal(launch: Launch, wanted: TerminalSize, options: StartOptions): Promise<Launched> {
  const size = { width: wanted.width || DEFAULT_SIZE.width, height: wanted.height || DEFAULT_SIZE.height };
  const pty = options.terminal === 'script' ? undefined : nativePty();
  try {
    if (pty !== undefined) return launchOnTerminal(launch, size, pty, hostProgram('setsid'));
    const pool = options.pipes ?? sharedFifoPool();
    const [script, stty, env] = [hostProgram('script'), hostProgram('stty'), hostProgram('env')];
    return launchOnScript(launch, { size, pool, script, stty, env });
  } catch (cause) {
    const message = `no terminal can be had: ${toError(cause).message}`;
    throw new ExecPathError('ERR_TERMINAL_UNAVAILABLE', message, { hop: 'runtime', cause });
  }
}

class SessionProcess implements RunningProcess {
  readonly pid: number;
  readonly stdin?: Writable;
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  readonly exited: Promise<ProcessExit>;
  readonly #launched: Launched;
  readonly #tree: ProcessTree;
  #hasExited = false;

  constructor(launched: Launched, spec: ProcessSpec) {
    this.pid = launched.child.pid;
    this.#launched = launched;
    this.#tree = new ProcessTree(this.pid, spec.marker, { isRootWaiting: spec.confined === true });
    if (launched.stdin && spec.stdin) this.stdin = launched.stdin;
    if (launched.stdout && spec.stdout) this.stdout = launched.stdout;
    // A terminal is read even when nobody listens: the process must not stand still for that.
    else launched.stdout?.resume();
    if (launched.stderr) this.stderr = launched.stderr;
    this.exited = launched.child.exited.then((exit) => {
      this.#hasExited = true;
      this.#tree.rootEnded();
      launched.stdin?.abandon();
      return exit;
    });
  }

  resize(size: TerminalSize): void {
    this.#launched.resize(size);
  }

  async drained(deadlineMs: number): Promise<void> {
    const { stdout, stderr } = this.#launched;
    // A stream that nobody reads would not notice its end; this fetches what fits, as a reader would.
    stdout?.read(0);
    stderr?.read(0);
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs).unref();
    });
    await Promise.race([Promise.all([stdout?.finished, stderr?.finished]), deadline]);
    clearTimeout(timer);
    stdout?.detach();
    stderr?.detach();
  }

  async hangUp(graceMs: number): Promise<void> {
    await this.#gone(await this.#tree.hangUp(graceMs));
  }

  async kill(): Promise<void> {
    await this.#gone(await this.#tree.kill());
  }

  /** A process that is dead is reaped at once; one that the kernel holds would be waited for without end. */
  async #gone(left: readonly number[]): Promise<void> {
    if (!left.includes(this.pid)) await this.exited;
  }

  signal(signal: NodeJS.Signals | number): void {
    if (!this.#hasExited) this.#tree.signal(signal, [this.#launched.signalPid?.() ?? this.pid]);
  }

  members(): Promise<number[]> {
    return this.#tree.members();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    const { stdin, stdout, stderr } = this.#launched;
    for (const stream of [stdin, stdout, stderr]) stream?.destroy();
  }
}
