import type { Readable, Writable } from 'node:stream';
import type { TerminalSize } from '../../common/terminal-size.ts';
import type { Launched } from './launch.ts';
import type { ProcessSpec } from './prepare-launch.ts';
import { ProcessTree } from './process-tree.ts';
import type { ProcessExit } from './spawn-child.ts';

/** A process that somebody keeps, so that it outlives us. Both calls may come twice. */
export interface KeptHandle {
  /** Everything is known and taken: its keeper ends, and what was kept is removed. */
  release(): Promise<void>;
  /** Gives up our ends without a byte lost, and leaves the process to run. */
  leave(): void;
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
  /** There when the process outlives us. */
  readonly kept?: KeptHandle;
  /** Kills and gives up the streams; who kept it is let go. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A launched program and all that came from it. */
export class SessionProcess implements RunningProcess {
  readonly pid: number;
  readonly stdin?: Writable;
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  readonly exited: Promise<ProcessExit>;
  readonly kept?: KeptHandle;
  readonly #launched: Launched;
  readonly #tree: ProcessTree;
  #hasExited = false;

  constructor(launched: Launched, spec: Pick<ProcessSpec, 'marker' | 'confined' | 'stdin' | 'stdout'>) {
    this.pid = launched.child.pid;
    this.#launched = launched;
    // One that had ended before anybody saw it has no pid.
    const root = this.pid === 0 ? undefined : this.pid;
    this.#tree = new ProcessTree(root, spec.marker, { isRootWaiting: spec.confined === true });
    if (launched.stdin && spec.stdin) this.stdin = launched.stdin;
    if (launched.stdout && spec.stdout) this.stdout = launched.stdout;
    // A terminal is read even when nobody listens: the process must not stand still for that.
    else launched.stdout?.resume();
    if (launched.stderr) this.stderr = launched.stderr;
    if (launched.keeper) this.kept = launched.keeper;
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
    // A kept pipe has no end; whoever could write to it is gone when the process and its children are.
    const quiet = this.kept === undefined ? deadline : this.exited;
    await Promise.race([Promise.all([stdout?.finished, stderr?.finished]), deadline, quiet]);
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
    const pid = this.#launched.signalPid?.() ?? this.pid;
    if (!this.#hasExited && pid > 0) this.#tree.signal(signal, [pid]);
  }

  members(): Promise<number[]> {
    return this.#tree.members();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    const { stdin, stdout, stderr } = this.#launched;
    for (const stream of [stdin, stdout, stderr]) stream?.destroy();
    await this.kept?.release();
  }
}
