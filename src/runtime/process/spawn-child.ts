import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { constants } from 'node:os';
import { toError } from '../../common/errors.ts';
import { CommandStartError } from './command-lookup.ts';

/**
 * Descriptors of ours that every child would inherit: masters of pseudo terminals, which the native code opens without
 * close-on-exec and Node has no call to add it. A child that kept one could type into somebody else's terminal, so
 * {@link spawnChild} puts `/dev/null` over each of them.
 */
const uncoveredDescriptors = new Set<number>();

/** From now on no child inherits `fd`. Call {@link uncoverDescriptor} before closing it. */
export function coverDescriptor(fd: number): void {
  uncoveredDescriptors.add(fd);
}

export function uncoverDescriptor(fd: number): void {
  uncoveredDescriptors.delete(fd);
}

let nullDescriptor: number | undefined;

export interface ChildOptions {
  /** Absolute path of the program. */
  readonly file: string;
  /** `argv[0]` as the program sees it, then its arguments. */
  readonly argv: readonly string[];
  /** The whole environment; nothing of ours is added. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Descriptors 0, 1, 2 and so on; `ignore` is `/dev/null`. They stay open here: closing them is the caller's. */
  readonly stdio: readonly (number | 'ignore')[];
  /** Lead a new session (setsid(2)). */
  readonly newSession: boolean;
  readonly uid?: number;
  readonly gid?: number;
  /** Its end does not matter to us: it does not keep us from ending. */
  readonly isLetGo?: boolean;
}

/** How a process ended. */
export interface ProcessExit {
  /** 0 … 255; 128 + n for signal n, as a shell counts. */
  readonly code: number;
  /** `SIGKILL` and the like, when a signal ended it and we saw it. */
  readonly signal?: string;
  /** When, in ns since the epoch, as far as somebody wrote it down. */
  readonly at?: bigint;
  /** Nobody knows how it ended; the code says nothing. */
  readonly isLost?: true;
  /** The command never ran, for what comes before it failed; the code is not the command's. */
  readonly failure?: CommandStartError;
}

export interface Child {
  readonly pid: number;
  /** Settles once, never rejects. */
  readonly exited: Promise<ProcessExit>;
}

/**
 * fork(2) and execve(2), with no descriptors but those given.
 *
 * @returns once the program runs
 * @throws CommandStartError ERR_COMMAND_START when the system refuses (no memory, too many processes, argv too long)
 */
export async function spawnChild(options: ChildOptions): Promise<Child> {
  const stdio: (number | 'ignore')[] = [...options.stdio];
  for (const fd of uncoveredDescriptors) {
    if (fd < options.stdio.length) continue;
    while (stdio.length <= fd) stdio.push('ignore');
    nullDescriptor ??= openSync('/dev/null', 'r+');
    stdio[fd] = nullDescriptor;
  }
  // Under coverage Node adds this variable to every child, unless it is there, if only as undefined.
  const env = { NODE_V8_COVERAGE: undefined, ...options.env };
  try {
    const child = spawn(options.file, options.argv.slice(1), {
      argv0: options.argv[0],
      env,
      cwd: options.cwd,
      stdio,
      detached: options.newSession,
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    });
    const exited = new Promise<ProcessExit>((resolve) => {
      child.once('exit', (code, signal) => resolve(processExit(code, signal)));
    });
    await once(child, 'spawn');
    if (options.isLetGo === true) child.unref();
    return { pid: child.pid ?? 0, exited };
  } catch (thrown) {
    const error = toError(thrown);
    throw new CommandStartError(
      'ERR_COMMAND_START',
      `exec: ${JSON.stringify(options.argv[0])}: ${error.message}`,
      error,
    );
  }
}

function processExit(code: number | null, signal: NodeJS.Signals | null): ProcessExit {
  return signal === null ? { code: code ?? 0 } : { code: 128 + constants.signals[signal], signal };
}
