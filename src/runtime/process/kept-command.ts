import { CommandStartError, lookUpCommand, type ProcessUser } from './command-lookup.ts';
import {
  DEFAULT_SIZE,
  FALLBACK_PATH,
  hostProgram,
  type ProcessSpec,
  prepare,
  requireDirectory,
} from './prepare-launch.ts';
import { SESSION_VARIABLE } from './session-variable.ts';
import { quoted } from './shell-quote.ts';

/**
 * A keeper: runs a program, writes its exit code to a file by rename(2), says it, and stands still.
 *
 * Arguments: its folder, the program's mark, the program. Descriptors: 0, 1, 7 hold stdin, stdout and stderr open at both
 * ends, so that nobody gets EOF or SIGPIPE for our being away; 4, 5, 6 are the program's own; 3 is `life`, whose end says
 * that the program has ended; 8 the program's environment. Signals to it change nothing: its children have them at their
 * defaults. What is still in the pipes when the program has ended stays there until we have taken it.
 */
export const KEEP = `d=$1 m=$2; shift 2
trap : HUP INT TERM
(export ${SESSION_VARIABLE}="$m"; exec "$@" <&4 >&5 2>&6 3>&- 4<&- 5>&- 6>&- 7>&-)
c=$?
trap '' PIPE
exec 4<&- 5>&- 6>&- 8<&-
echo "$c" >&3
while [ -d "$d" ]; do echo "$c" >"$d/exit.new" && mv "$d/exit.new" "$d/exit" && break; sleep 1; done
exec 3>&-
while [ -d "$d" ]; do kill -STOP $$; done`;

/** Becomes the program, with the environment that descriptor 8 says and nothing else. */
const BECOME = 'unset PWD OLDPWD SHLVL; eval "$(cat <&8)"; exec 8<&-; exec "$@"';

/** Names that sh(1) can set, but for those that mean something to it or that some shells make read-only. */
const SHELL_NAME = /^(?!(?:OPTIND|PPID|UID|EUID|SHELLOPTS|BASHOPTS|BASH_\w*|_)$)[A-Za-z_]\w*$/;

/** A program as its keeper starts it. */
export interface KeptCommand {
  readonly argv: readonly string[];
  /** For the keeper and what it starts. */
  readonly cwd: string;
  /** The program's mark, unless it gets it later. */
  readonly marker?: string;
  /** Lines for {@link BECOME}; undefined when the command brings its own. */
  readonly environment?: string;
}

/** @throws CommandStartError */
export function keptCommand(spec: ProcessSpec): KeptCommand {
  const { marker, tty, user } = spec;
  const isConfined = spec.confined === true && spec.wrapper !== undefined;
  const cwd = isConfined ? '/' : spec.cwd;
  const plain = isConfined ? { argv: prepare(spec).argv } : becoming(spec);
  if (tty === undefined) return { ...plain, argv: [hostProgram('setsid'), ...plain.argv], cwd, marker };
  const size = tty === true ? DEFAULT_SIZE : tty;
  const [rows, columns] = [size.height || DEFAULT_SIZE.height, size.width || DEFAULT_SIZE.width];
  const line = [
    `${quoted(hostProgram('stty'))} rows ${rows} cols ${columns}`,
    // So that the program may open its terminal again, whoever it is.
    ...(user === undefined || process.getuid?.() !== 0 ? [] : [`chown ${user.uid}:${user.gid} "$(tty)"`]),
    `export ${SESSION_VARIABLE}=${quoted(marker)}`,
    `exec ${plain.argv.map(quoted).join(' ')}`,
  ].join('; ');
  // script(1) takes the shell from a variable; as a program of its own it has that of the keeper.
  const argv = [hostProgram('env'), 'SHELL=/bin/sh', hostProgram('script'), '-qfec', line, '/dev/null'];
  return { ...plain, argv, cwd };
}

/** The words of a host's program: its user, then a shell that has its environment, then the program. */
function becoming(spec: ProcessSpec): { readonly argv: readonly string[]; readonly environment: string } {
  const { cwd, marker, user } = spec;
  const env = { ...(spec.tty !== undefined && { TERM: 'xterm' }), ...spec.env, [SESSION_VARIABLE]: marker };
  requireDirectory(cwd, '/');
  const [name = '', ...words] = spec.argv;
  const path = spec.env['PATH'];
  const file = lookUpCommand(name, { path: path ?? FALLBACK_PATH, cwd, ...(user && { user }) });
  const all = Object.entries(env);
  const lines = all.filter(([key]) => SHELL_NAME.test(key)).map(([key, value]) => `export ${key}=${quoted(value)}\n`);
  const rest = all.filter(([key]) => !SHELL_NAME.test(key)).map(([key, value]) => `${key}=${value}`);
  // Found already; by its own name it knows itself as it is used to.
  const program = name.includes('/') || path === undefined ? file : name;
  if (rest.length > 0 && program.includes('=')) {
    const rule = `a name with "=" cannot be started with variables such as ${JSON.stringify(rest[0])}`;
    throw new CommandStartError('ERR_COMMAND_START', `exec: ${JSON.stringify(name)}: ${rule}`);
  }
  const extra = rest.length === 0 ? [] : [hostProgram('env'), ...rest];
  const become = [hostProgram('sh'), '-c', BECOME, 'podwire', ...extra, program, ...words];
  return {
    argv: [...asUser(user), ...become],
    environment: `${path === undefined ? 'unset PATH\n' : ''}${lines.join('')}`,
  };
}

function asUser(user: ProcessUser | undefined): string[] {
  if (user === undefined) return [];
  const { uid, gid, groups = [] } = user;
  if (process.getuid?.() !== 0 && uid === process.getuid?.() && gid === process.getgid?.()) return [];
  const more = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
  return [hostProgram('setpriv'), `--reuid=${uid}`, `--regid=${gid}`, more, '--'];
}
