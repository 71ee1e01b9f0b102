import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mustRun, runChild } from './child.ts';
import { withDescendants } from './process-table.ts';

export interface TerminalOptions {
  /** Default: 80. */
  readonly columns?: number;
  /** Default: 24. */
  readonly rows?: number;
  /** The whole environment of the program; TERM is set by tmux. Default: that of this process. */
  readonly env?: NodeJS.ProcessEnv;
}

const LOOK_EVERY_MS = 25;
// Not window-size: `manual` for all windows makes tmux 3.3a crash, and resize-window sets it for the one.
const SETTINGS = [
  'set -g status off',
  'set -g remain-on-exit on',
  'set -g default-terminal screen-256color',
  'set -s escape-time 0',
  'set -g history-limit 10000',
];

/**
 * Writes the program's exit code to the file `$0`: tmux 3.3a loses it now and then. The traps keep the shell alive at
 * ctrl-C and ctrl-\\; the program gets the default actions back.
 */
const WRAPPER = 'trap : INT QUIT; "$@"; echo $? >"$0.new"; mv "$0.new" "$0"';

/**
 * A program at a real terminal: tmux draws the screen, the test types and looks.
 *
 * Owns: a tmux server of its own, the program and everything at its terminal.
 *
 * @example
 * await using terminal = await Terminal.start(['kubectl', 'exec', '-it', 'web', '--', 'sh']);
 * await terminal.waitFor('# ');
 * await terminal.type('exit 7\n');
 * expect(await terminal.exitCode()).toBe(7);
 */
export class Terminal implements AsyncDisposable {
  readonly #directory: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(directory: string, env: NodeJS.ProcessEnv) {
    this.#directory = directory;
    this.#env = env;
  }

  /** Starts `argv` without a shell. */
  static async start(argv: readonly string[], options: TerminalOptions = {}): Promise<Terminal> {
    const directory = mkdtempSync(join(tmpdir(), 'podwire-terminal-'));
    const { TMUX: _outer, ...env } = options.env ?? process.env;
    writeFileSync(join(directory, 'tmux.conf'), `${SETTINGS.join('\n')}\n`);
    const terminal = new Terminal(directory, env);
    const size = ['-x', String(options.columns ?? 80), '-y', String(options.rows ?? 24)];
    try {
      await terminal.#tmux('new-session', '-d', ...size, '--', 'sh', '-c', WRAPPER, terminal.#exitPath, ...argv);
      return terminal;
    } catch (error) {
      await terminal.dispose();
      throw error;
    }
  }

  /** Types `text` as it stands; a newline is the Enter key. */
  async type(text: string): Promise<void> {
    for (const [index, line] of text.split('\n').entries()) {
      if (index > 0) await this.press('Enter');
      if (line !== '') await this.#tmux('send-keys', '-l', '--', line);
    }
  }

  /** Presses keys by tmux's names: `C-c`, `Enter`, `Escape`, `Up`, `BSpace`. */
  async press(...keys: string[]): Promise<void> {
    await this.#tmux('send-keys', '--', ...keys);
  }

  /** The program gets SIGWINCH. */
  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** What is visible, one line per row, trailing blanks cut. */
  screen(): Promise<string> {
    return this.#tmux('capture-pane', '-p');
  }

  /** What is visible and up to 10,000 lines that scrolled out above it; wrapped lines joined. */
  history(): Promise<string> {
    return this.#tmux('capture-pane', '-p', '-J', '-S', '-');
  }

  /**
   * Looks until the screen has `wanted`, and gives that screen. Blanks at the end of a line do not count.
   *
   * @throws Error that shows the screen when `deadlineMs` (default 10,000) passes first
   */
  async waitFor(wanted: string | RegExp, deadlineMs = 10_000): Promise<string> {
    const deadline = Date.now() + deadlineMs;
    const pattern = typeof wanted === 'string' ? wanted.replaceAll(/ +$/gm, '') : wanted;
    for (;;) {
      const screen = await this.screen();
      if (typeof pattern === 'string' ? screen.includes(pattern) : pattern.test(screen)) return screen;
      if (Date.now() > deadline) {
        throw new Error(`the terminal did not show ${String(wanted)} within ${deadlineMs} ms:\n${screen}`);
      }
      await delay(LOOK_EVERY_MS);
    }
  }

  /**
   * Waits for the program to end.
   *
   * @returns its exit code; 128 + n after signal n
   * @throws Error that shows the screen when `deadlineMs` (default 10,000) passes first
   */
  async exitCode(deadlineMs = 10_000): Promise<number> {
    const deadline = Date.now() + deadlineMs;
    for (;;) {
      if (existsSync(this.#exitPath)) return Number(readFileSync(this.#exitPath, 'utf8'));
      if (Date.now() > deadline) {
        throw new Error(`the program did not end within ${deadlineMs} ms:\n${await this.screen()}`);
      }
      await delay(LOOK_EVERY_MS);
    }
  }

  /** Process id of the program; undefined when it has ended. */
  async pid(): Promise<number | undefined> {
    const shell = Number(await this.#tmux('display-message', '-p', '#{pane_pid}'));
    return withDescendants([shell])[1];
  }

  /** Hangs up: the program loses its terminal. Twice is once. */
  async dispose(): Promise<void> {
    await runChild('tmux', this.#args('kill-server'), { env: this.#env });
    rmSync(this.#directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #tmux(...args: string[]): Promise<string> {
    return mustRun('tmux', this.#args(...args), { env: this.#env, deadlineMs: 20_000 });
  }

  get #exitPath(): string {
    return join(this.#directory, 'exit-code');
  }

  #args(...args: string[]): string[] {
    return ['-S', join(this.#directory, 'socket'), '-f', join(this.#directory, 'tmux.conf'), ...args];
  }
}
