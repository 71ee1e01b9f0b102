import { chownSync, writeFileSync } from 'node:fs';
import { CommandStartError, lookUpCommand, type ProcessUser, quoted } from '../process/index.ts';

/** Names that sh(1) can set; it lets all others disappear. It would refuse most values of OPTIND. */
const SHELL_NAME = /^(?!OPTIND$)[A-Za-z_]\w*$/;
/** What the dynamic loader and the C library take code or files from: never set for a program of the host. */
const LOADER_NAME =
  /^(LD_|GCONV_PATH$|GETCONF_DIR$|GLIBC_TUNABLES$|HOSTALIASES$|LOCALDOMAIN$|LOCPATH$|MALLOC_|NIS_PATH$|NLSPATH$|RESOLV_HOST_CONF$|RES_OPTIONS$|TMPDIR$|TZDIR$|TZ$|LC_|LANG$|LANGUAGE$)/;

/** Up to so many bytes a shell reads by itself, one by one; above, a process more is the cheaper way. */
const READ_BYTES = 4096;
const READ = `e=; while IFS= read -r l; do e="$e$l\n"; done <&7; eval "$e"; `;
const COPY = 'eval "$(cat <&7)"; ';

/** An environment on its way into a container: a file of exports for sh(1), and the rest before the command. */
export interface PassedEnvironment {
  /** The command, behind the container's own env(1) when there are variables that sh cannot pass. */
  readonly argv: readonly string[];
  /** Commands for sh(1), which has the file as descriptor 7. */
  readonly evaluate: string;
}

export interface PassOptions {
  /** Written, mode 0600, read once by a shell with `user`'s rights. */
  readonly file: string;
  readonly user: ProcessUser;
  /** The container's root, as seen from here. */
  readonly root: string;
  readonly cwd: string;
  /** Whether a program of the host still comes after the shell. */
  readonly beforeHostProgram: boolean;
}

/** @throws CommandStartError ERR_COMMAND_START when a variable needs env(1) and the container has none */
export function passEnvironment(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  options: PassOptions,
): PassedEnvironment {
  const isPlain = (name: string): boolean =>
    SHELL_NAME.test(name) && !(options.beforeHostProgram && LOADER_NAME.test(name));
  const all = Object.entries(env);
  const lines = all.filter(([name]) => isPlain(name)).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
  const text = lines.join('');
  // Not every shell reads every byte.
  const evaluate = text.length <= READ_BYTES && /^[\n -~]*$/.test(text) ? READ : COPY;
  writeFileSync(options.file, text, { mode: 0o600 });
  chownSync(options.file, options.user.uid, options.user.gid);
  const rest = all.filter(([name]) => !isPlain(name)).map(([name, value]) => `${name}=${value}`);
  if (rest.length === 0) return { argv, evaluate };
  const { root, cwd, user } = options;
  try {
    return {
      argv: [lookUpCommand('env', { path: env['PATH'] ?? '/bin:/usr/bin', root, cwd, user }), ...rest, ...argv],
      evaluate,
    };
  } catch (cause) {
    const names = rest.map((pair) => JSON.stringify(pair.slice(0, pair.indexOf('='))));
    const rule = `variables ${names.join(', ')} can only be set in a container that has env(1)`;
    throw new CommandStartError('ERR_COMMAND_START', rule, cause);
  }
}
