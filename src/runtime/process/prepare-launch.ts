import { statSync } from 'node:fs';
import { ExecPathError } from '../../common/errors.ts';
import type { TerminalSize } from '../../common/terminal-size.ts';
import { CommandStartError, lookUpCommand, type ProcessUser, resolveInside } from './command-lookup.ts';
import type { Launch } from './launch.ts';
import { SESSION_VARIABLE } from './session-variable.ts';

/** Where programs are looked for when the environment has no PATH. */
export const FALLBACK_PATH = '/bin:/usr/bin';
/** What a terminal has before its user says; 80 × 24 as everywhere. */
export const DEFAULT_SIZE: TerminalSize = { width: 80, height: 24 };

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
  /** The wrapper takes the terminal for a session of its own, so it must be nobody's before; only on a native one. */
  readonly takesTerminal?: boolean;
  /** Root directory in which `argv[0]` is looked up; with a wrapper and without this it is not looked up at all. */
  readonly root?: string;
}

/** @throws ExecPathError ERR_BAD_REQUEST for a spec that breaks its rules */
export function validate(spec: ProcessSpec): void {
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
export function prepare(spec: ProcessSpec): Launch {
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

export function requireDirectory(cwd: string, root: string): void {
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
export function hostProgram(name: string): string {
  return lookUpCommand(name, { path: process.env['PATH'] ?? FALLBACK_PATH, cwd: '/' });
}
