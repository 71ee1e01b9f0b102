import {
  chownSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { toError } from '../../common/errors.ts';
import { CommandStartError, type ProcessUser } from './command-lookup.ts';
import type { FifoPool } from './fifo-pool.ts';
import { KEEP, type KeptCommand, keptCommand } from './kept-command.ts';
import { nativePty } from './native-terminal.ts';
import { OutputStream } from './output-stream.ts';
import { PipeInput } from './pipe-input.ts';
import { FALLBACK_PATH, hostProgram, type ProcessSpec, validate } from './prepare-launch.ts';
import { ProcessHandle } from './process-handle.ts';
import { childrenOf } from './process-table.ts';
import { killMarked, sessionOf } from './process-tree.ts';
import { Resizer } from './script-terminal.ts';
import { type RunningProcess, SessionProcess } from './session-process.ts';
import { SESSION_VARIABLE } from './session-variable.ts';
import { type ChildOptions, type ProcessExit, spawnChild } from './spawn-child.ts';

/** A keeper forks its program within a millisecond or two; on a machine where it takes longer than this, in ms, it is stuck. */
const FORK_MS = 10_000;
/** What an exit code is when nobody knows it, as containerd has it. */
const LOST_CODE = 255;
const TOOLS = ['sh', 'setsid', 'mkfifo', 'mv', 'sleep'];
const TERMINAL_TOOLS = ['script', 'stty', 'chown', 'tty'];

/** Where and how a process is kept. */
export interface Keeping {
  /**
   * A folder of its own, on the file system of `pipes`: FIFOs `stdin`, `stdout`, `stderr` and `life`, and later `exit`
   * with the code and `eof` when its input has ended.
   */
  readonly directory: string;
  /** Mark of the keeper; the program has that of its spec. */
  readonly marker: string;
  readonly pipes: FifoPool;
  /** `stdin.end()` is EOF for the program; otherwise its input stays open for as long as it lives. */
  readonly isInputOnce: boolean;
}

/** What is to be known of a process to find it again. */
export type KeptSpec = Pick<ProcessSpec, 'marker' | 'confined' | 'stdin' | 'stdout' | 'stderr' | 'tty'>;

/** Why a process cannot be kept here, or undefined. */
export function keeperObstacle(isTerminal: boolean): string | undefined {
  if (process.platform !== 'linux') return `this is ${process.platform}, not Linux`;
  try {
    for (const name of isTerminal ? [...TOOLS, ...TERMINAL_TOOLS] : TOOLS) hostProgram(name);
    return undefined;
  } catch (thrown) {
    return toError(thrown).message;
  }
}

/**
 * Starts a process that outlives us, though we be killed: its parent is a keeper, a small sh(1) that holds its pipes
 * open, waits, and writes its exit code down. A terminal is held by script(1).
 *
 * ```
 * us ── FIFOs ── keeper ─┬─ the program                        life ends when `exit` has been written;
 *                        └─ script ── terminal ── the program  then the keeper stands still until it is released
 * ```
 *
 * @throws as `startProcess`
 */
export async function startKept(spec: ProcessSpec, keeping: Keeping): Promise<RunningProcess> {
  validate(spec);
  const command = keptCommand(spec);
  const { directory, marker } = keeping;
  mkdirSync(directory, { mode: 0o700 });
  let ends: Ends | undefined;
  try {
    await makePipes(spec, keeping);
    ends = openEnds(spec, keeping);
    const keeper = await spawnKeeper(spec, keeping, command);
    return await keptProcess(spec, keeping, { keeper, ends });
  } catch (thrown) {
    ends?.close();
    await killMarked(marker);
    rmSync(directory, { recursive: true, force: true });
    throw thrown;
  }
}

/**
 * Finds a kept process again, running or ended with nobody there.
 *
 * @param keepers pids of those with the keeper's mark
 * @returns undefined when its keeper is gone; {@link readExit} may know more
 */
export async function adoptKept(
  spec: KeptSpec,
  keeping: Keeping,
  keepers: readonly { readonly pid: number; readonly parent: number }[],
): Promise<RunningProcess | undefined> {
  const all = new Set(keepers.map(({ pid }) => pid));
  const keeper = keepers.find(({ pid, parent }) => !all.has(parent) && sessionOf(pid) === keeping.marker)?.pid;
  if (keeper === undefined) return undefined;
  const ends = openEnds(spec, keeping);
  try {
    return await keptProcess(spec, keeping, { keeper, ends });
  } catch (thrown) {
    ends.close();
    throw thrown;
  }
}

/** How a kept process ended, as its keeper wrote it down; undefined while it has not. */
export function readExit(directory: string): ProcessExit | undefined {
  try {
    const file = join(directory, 'exit');
    const code = codeOf(readFileSync(file, 'latin1'));
    return code === undefined ? undefined : { code, at: statSync(file, { bigint: true }).mtimeNs };
  } catch {
    return undefined;
  }
}

type Name = 'stdin' | 'stdout' | 'stderr';

/** Our ends of the pipes. */
interface Ends {
  readonly stdin: PipeInput | undefined;
  readonly stdout: OutputStream | undefined;
  readonly stderr: OutputStream | undefined;
  /** Reads the code, then ends. */
  readonly life: Socket;
  close(): void;
}

async function makePipes(spec: KeptSpec, { directory, pipes }: Keeping): Promise<void> {
  const isTerminal = spec.tty !== undefined;
  const { user } = spec as ProcessSpec;
  await pipes.place(join(directory, 'life'));
  // script(1) has an input and an output, wanted or not.
  if (isTerminal || spec.stdin) await pipes.place(join(directory, 'stdin'), user);
  if (isTerminal || spec.stdout) await pipes.place(join(directory, 'stdout'), user);
  if (!isTerminal && spec.stderr) await pipes.place(join(directory, 'stderr'), user);
}

/** @returns its pid */
async function spawnKeeper(spec: ProcessSpec, keeping: Keeping, command: KeptCommand): Promise<number> {
  const { directory, marker, isInputOnce } = keeping;
  const opened: number[] = [];
  // What is not there must be open all the same: above 2 Node leaves out what it is to ignore.
  const open = (name: string, flags: number): number => {
    const file = join(directory, name);
    const fd = openSync(existsSync(file) ? file : '/dev/null', flags);
    opened.push(fd);
    return fd;
  };
  const env = { PATH: process.env['PATH'] ?? FALLBACK_PATH, [SESSION_VARIABLE]: marker };
  const base = { env, newSession: true, isLetGo: true };
  try {
    const input = open('stdin', constants.O_RDWR);
    if (isInputOnce) await holdInput(input, { ...base, marker });
    if (command.environment !== undefined) writeEnvironment(directory, command.environment, spec.user);
    const keeper = await spawnChild({
      ...base,
      cwd: command.cwd,
      file: hostProgram('sh'),
      argv: ['sh', '-c', KEEP, 'podwire', directory, command.marker ?? marker, ...command.argv],
      // In the order of KEEP.
      stdio: [
        isInputOnce ? 'ignore' : input,
        open('stdout', constants.O_RDWR),
        'ignore',
        open('life', constants.O_WRONLY),
        open('stdin', constants.O_RDONLY),
        open('stdout', constants.O_WRONLY),
        open('stderr', constants.O_WRONLY),
        open('stderr', constants.O_RDWR),
        open('environment', constants.O_RDONLY),
      ],
    });
    return keeper.pid;
  } finally {
    for (const fd of opened) closeSync(fd);
    rmSync(join(directory, 'environment'), { force: true });
  }
}

/** Input that may end has a holder of its own, whose end it is. */
async function holdInput(
  input: number,
  { marker, ...base }: Pick<ChildOptions, 'env' | 'newSession'> & { readonly marker: string },
): Promise<void> {
  await spawnChild({
    ...base,
    env: { ...base.env, [SESSION_VARIABLE]: `${marker}/stdin` },
    cwd: '/',
    file: hostProgram('sleep'),
    argv: ['sleep', '2147483647'],
    stdio: [input, 'ignore', 'ignore'],
    isLetGo: true,
  });
}

/** As a text that a shell reads by descriptor, so that it shows in no command line. */
function writeEnvironment(directory: string, environment: string, user: ProcessUser | undefined): void {
  const file = join(directory, 'environment');
  writeFileSync(file, environment, { mode: 0o600 });
  if (user !== undefined && process.getuid?.() === 0) chownSync(file, user.uid, user.gid);
}

function openEnds(spec: KeptSpec, { directory, marker, isInputOnce }: Keeping): Ends {
  const path = (name: string): string => join(directory, name);
  const reading = constants.O_RDONLY | constants.O_NONBLOCK;
  const output = (name: Name): OutputStream | undefined =>
    existsSync(path(name)) ? new OutputStream(openSync(path(name), reading), 'pipe') : undefined;
  const life = new Socket({ fd: openSync(path('life'), reading), readable: true, writable: false });
  const [stdout, stderr] = [output('stdout'), output('stderr')];
  const stdin = openInput(path, spec, isInputOnce ? () => endInput(path('eof'), marker) : undefined);
  const close = (): void => {
    for (const stream of [life, stdin, stdout, stderr]) stream?.destroy();
  };
  return { stdin, stdout, stderr, life, close };
}

/** @param onEnd undefined where the input never ends */
function openInput(
  path: (name: string) => string,
  { stdin, tty }: KeptSpec,
  onEnd: (() => void) | undefined,
): PipeInput | undefined {
  if ((!stdin && tty === undefined) || !existsSync(path('stdin')) || existsSync(path('eof'))) return undefined;
  try {
    // A writer is only admitted while there is a reader. At a start it is us for a moment.
    const first = openSync(path('stdin'), constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const fd = openSync(path('stdin'), constants.O_WRONLY | constants.O_NONBLOCK);
      return new PipeInput(fd, onEnd === undefined, onEnd);
    } finally {
      closeSync(first);
    }
  } catch (thrown) {
    throw new CommandStartError('ERR_COMMAND_START', `stdin cannot be opened: ${toError(thrown).message}`, thrown);
  }
}

/** Written down before it is done: who finds us killed in between does it again. */
function endInput(file: string, marker: string): void {
  writeFileSync(file, '');
  void killMarked(`${marker}/stdin`);
}

async function keptProcess(
  spec: KeptSpec,
  keeping: Keeping,
  { keeper, ends }: { readonly keeper: number; readonly ends: Ends },
): Promise<RunningProcess> {
  const { directory, marker, isInputOnce } = keeping;
  const handle = new ProcessHandle(keeper);
  let hasExited = false;
  const exited = exitOf(ends.life, directory, handle).then((exit) => {
    hasExited = true;
    return exit;
  });
  const pid = await findProgram(keeper, spec, () => hasExited);
  const resizer = spec.tty === undefined ? undefined : new Resizer(hostProgram('stty'), () => pid, nativePty());
  if (resizer !== undefined) ends.stdin?.writeBehind(() => resizer.work);
  void exited.then(() => resizer?.close());
  const release = async (): Promise<void> => {
    ends.life.destroy();
    handle.kill();
    if (isInputOnce || existsSync(join(directory, 'eof'))) await killMarked(`${marker}/stdin`);
    rmSync(directory, { recursive: true, force: true });
  };
  const leave = (): void => {
    ends.life.destroy();
    ends.stdin?.destroy();
    for (const stream of [ends.stdout, ends.stderr]) stream?.detach();
  };
  const { stdin, stdout, stderr } = ends;
  const launched = {
    child: { pid: pid ?? 0, exited },
    ...(stdin && { stdin }),
    ...(stdout && { stdout }),
    ...(stderr && { stderr }),
    resize: (size: Parameters<Resizer['resize']>[0]) => resizer?.resize(size),
    keeper: { release, leave },
  };
  return new SessionProcess(launched, spec);
}

/** Settles when the keeper says that the program has ended, or can say nothing any more. */
async function exitOf(life: Socket, directory: string, keeper: ProcessHandle): Promise<ProcessExit> {
  let said = '';
  life.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
  });
  const ended = new Promise<void>((resolve) => {
    life.once('end', resolve).once('error', () => resolve());
  });
  // One that had said it before we opened our end says it no more.
  if (readExit(directory) === undefined && keeper.isAlive) await ended;
  const code = codeOf(said);
  return readExit(directory) ?? (code === undefined ? { code: LOST_CODE, isLost: true } : { code });
}

function codeOf(text: string): number | undefined {
  return /^\d{1,3}\n/.test(text) ? Number(text.trim()) : undefined;
}

/** The program itself: child of the keeper, or of the script(1) that is. @returns undefined when it has ended already */
async function findProgram(keeper: number, spec: KeptSpec, hasExited: () => boolean): Promise<number | undefined> {
  const deadline = performance.now() + FORK_MS;
  const isTerminal = spec.tty !== undefined;
  while (!hasExited()) {
    const children = childrenOf(keeper);
    // After the end a keeper has other children for a moment.
    const program = isTerminal
      ? children.filter((pid) => programOf(pid) === 'script').flatMap(childrenOf)[0]
      : children.find((pid) => sessionOf(pid) === spec.marker);
    if (program !== undefined) return program;
    if (performance.now() > deadline) throw new CommandStartError('ERR_COMMAND_START', 'its keeper does not start it');
    await delay(1);
  }
  return undefined;
}

function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
  } catch {
    return '';
  }
}
