import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readlinkSync } from 'node:fs';
import type { TerminalSize } from '../../common/terminal-size.ts';
import { CommandStartError } from './command-lookup.ts';
import type { FifoPool } from './fifo-pool.ts';
import { type Launch, type Launched, launchOnPipes } from './launch.ts';
import type { NativePty } from './native-terminal.ts';
import { PipeInput } from './pipe-input.ts';
import { childrenOf } from './process-table.ts';
import { SESSION_VARIABLE } from './session-variable.ts';
import { quoted } from './shell-quote.ts';

/** stty(1) takes milliseconds; one that takes longer than this, in ms, is killed and its resize lost. */
const STTY_TIMEOUT_MS = 5_000;
/** The command is forked some ms after script(1) has started; until then a resize is tried again so often. */
const RESIZE_TRIES = 50;
const RESIZE_RETRY_MS = 20;

export interface ScriptTerminalOptions {
  readonly size: TerminalSize;
  readonly pool: FifoPool;
  /** Absolute paths of the host's programs. */
  readonly script: string;
  readonly stty: string;
  readonly env: string;
}

/**
 * A terminal without native code: util-linux's script(1) holds the pseudo terminal and passes bytes from and to pipes.
 *
 * Slower to start than a native one (20 ms) and dearer by a process. script takes the command as one line for a shell;
 * every word is quoted, so the shell gives it on unchanged, but all of it together has to fit into 128 KiB.
 *
 * @throws CommandStartError ERR_COMMAND_START, also for a program name with `=`, which env(1) takes for a variable
 */
export async function launchOnScript(launch: Launch, options: ScriptTerminalOptions): Promise<Launched> {
  const { size, pool, script, stty, env } = options;
  const [name = ''] = launch.argv;
  if (name.includes('=')) {
    const rule = 'a name with "=" cannot be started on a terminal here';
    throw new CommandStartError('ERR_COMMAND_START', `exec: ${JSON.stringify(name)}: ${rule}`);
  }
  const variables = Object.entries(launch.env).map(([key, value]) => `${key}=${value}`);
  const command = ['exec', env, '-i', ...variables, ...launch.argv].map(quoted).join(' ');
  const line = `${quoted(stty)} rows ${size.height} cols ${size.width}; ${command}`;
  const marker = launch.env[SESSION_VARIABLE] ?? '';
  const launched = await launchOnPipes(
    {
      ...launch,
      file: script,
      argv: ['script', '-qfec', line, '/dev/null'],
      env: { SHELL: '/bin/sh', [SESSION_VARIABLE]: marker },
    },
    // At the end of its stdin script types ^D: the pipe stays open, whoever writes to it or not.
    { stdin: 'held', stdout: true, stderr: false },
    pool,
  );
  const { child } = launched;
  const resizer = new Resizer(stty, () => childrenOf(child.pid)[0]);
  if (launched.stdin instanceof PipeInput) launched.stdin.writeBehind(() => resizer.work);
  void child.exited.then(() => resizer.close());
  return {
    ...launched,
    resize: (wanted) => resizer.resize(wanted),
    signalPid: () => childrenOf(child.pid)[0],
  };
}

/** Sets the size of the terminal that a process has, by native code or by stty(1), one at a time; the last size wins. */
export class Resizer {
  readonly #stty: string;
  readonly #pidOf: () => number | undefined;
  readonly #pty: NativePty | undefined;
  #wanted: TerminalSize | undefined;
  #work: Promise<void> | undefined;
  #isClosed = false;

  /** @param pty native code; without it each size costs a process */
  constructor(stty: string, pidOf: () => number | undefined, pty?: NativePty) {
    this.#stty = stty;
    this.#pidOf = pidOf;
    this.#pty = pty;
  }

  resize(size: TerminalSize): void {
    if (size.width === 0 || size.height === 0) return;
    this.#wanted = size;
    this.#work ??= this.#run();
  }

  /** While there is some: what is typed behind a new size is for a terminal of that size. */
  get work(): Promise<void> | undefined {
    return this.#work;
  }

  close(): void {
    this.#isClosed = true;
  }

  async #run(): Promise<void> {
    // Whoever began this has it in hand by then.
    await Promise.resolve();
    for (let tries = 0; this.#wanted !== undefined && tries < RESIZE_TRIES && !this.#isClosed; ) {
      const terminal = this.#terminal();
      if (terminal === undefined) {
        tries += 1;
        await new Promise((resolve) => setTimeout(resolve, RESIZE_RETRY_MS).unref());
        continue;
      }
      const { width, height } = this.#wanted;
      this.#wanted = undefined;
      if (this.#pty === undefined) await this.#runStty(terminal, width, height);
      else setSize(this.#pty, terminal, { width, height });
    }
    this.#work = undefined;
  }

  #terminal(): string | undefined {
    const pid = this.#pidOf();
    if (pid === undefined) return undefined;
    try {
      const path = readlinkSync(`/proc/${pid}/fd/0`);
      return path.startsWith('/dev/pts/') ? path : undefined;
    } catch {
      return undefined;
    }
  }

  /** A resize that fails is no failure of the session. */
  async #runStty(terminal: string, width: number, height: number): Promise<void> {
    const argv = ['-F', terminal, 'rows', String(height), 'cols', String(width)];
    await new Promise<void>((resolve) => {
      const child = spawn(this.#stty, argv, { stdio: 'ignore', env: {}, timeout: STTY_TIMEOUT_MS });
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
  }
}

/** A terminal that is gone by then is no failure of the session. */
function setSize(pty: NativePty, terminal: string, { width, height }: TerminalSize): void {
  let fd: number | undefined;
  try {
    fd = openSync(terminal, constants.O_RDWR | constants.O_NOCTTY);
    pty.resize(fd, width, height, 0, 0);
  } catch {
    // ENXIO, EIO: its command has ended.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
