import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, constants, mkdtempSync, openSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toError } from '../../common/errors.ts';
import { SingleFlight } from '../../common/single-flight.ts';
import { CommandStartError, type ProcessUser } from './command-lookup.ts';

/** Names made by one call of mkfifo(1): one call costs as much as one process. */
const FIFOS_PER_CALL = 256;
/** With fewer left, the next call is started in the background. */
const LOW_WATER = 64;
/** mkfifo(1) takes milliseconds; a machine where it takes longer than this, in ms, is stuck. */
const MKFIFO_TIMEOUT_MS = 30_000;

/** The two ends of one pipe. Whoever gets it closes both. */
export interface Pipe {
  /** Ours is non-blocking, the child's blocks; both close on exec. */
  readonly ours: number;
  readonly childs: number;
}

/**
 * Real pipes. Node has no pipe(2), and the socket pairs that it gives to children cannot be opened again: with them
 * `echo x > /dev/stderr` fails. So each pipe is a FIFO that is opened at both ends and unlinked at once.
 *
 * Owns: a directory (0700) with FIFOs that nobody has opened yet.
 */
export class FifoPool {
  readonly #parent: string;
  #directory: string | undefined;
  #names: string[] = [];
  #made = 0;
  readonly #refill = new SingleFlight(() => this.#make());

  /** @param parent where the directory is made, mode 0700; the system's temporary directory by default */
  constructor(parent: string = tmpdir()) {
    this.#parent = parent;
  }

  /** A pipe that the child reads. */
  async toChild(user?: ProcessUser): Promise<Pipe> {
    const path = await this.#take(user);
    try {
      // A writer is only admitted while there is a reader, and the child's end must not be the non-blocking one.
      const first = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const ours = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
        return { ours, childs: openSync(path, constants.O_RDONLY) };
      } finally {
        closeSync(first);
      }
    } finally {
      unlinkSync(path);
    }
  }

  /** A pipe that the child writes. */
  async fromChild(user?: ProcessUser): Promise<Pipe> {
    const path = await this.#take(user);
    try {
      const ours = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      return { ours, childs: openSync(path, constants.O_WRONLY) };
    } finally {
      unlinkSync(path);
    }
  }

  /** A FIFO with a name, for who opens it by that; on the same file system as the pool. */
  async place(path: string, user?: ProcessUser): Promise<void> {
    renameSync(await this.#take(user), path);
  }

  /** Removes the directory. Pipes that were handed out live on; a later call starts a new directory. */
  close(): void {
    const directory = this.#directory;
    this.#directory = undefined;
    this.#names = [];
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  }

  async #take(user: ProcessUser | undefined): Promise<string> {
    // A refill in the background that fails matters only to those who have to wait for one.
    if (this.#names.length < LOW_WATER) this.#refill.run().catch(() => {});
    while (this.#names.length === 0) await this.#refill.run();
    const path = this.#names.pop() ?? '';
    // So that the process may open its own /dev/stdout again, whoever it is.
    if (user !== undefined && process.getuid?.() === 0) chownSync(path, user.uid, user.gid);
    return path;
  }

  async #make(): Promise<void> {
    const directory = (this.#directory ??= mkdtempSync(join(this.#parent, 'podwire-fifos-')));
    const names = Array.from({ length: FIFOS_PER_CALL }, () => join(directory, String(this.#made++)));
    try {
      const child = spawn('mkfifo', ['-m', '600', ...names], { stdio: 'ignore', timeout: MKFIFO_TIMEOUT_MS });
      const [code] = (await once(child, 'exit')) as [number | null];
      if (code !== 0) throw new Error(`mkfifo ended with code ${code} in ${directory}`);
    } catch (cause) {
      throw new CommandStartError('ERR_COMMAND_START', `no pipes could be made: ${toError(cause).message}`, cause);
    }
    if (this.#directory === directory) this.#names.push(...names);
  }
}

let shared: FifoPool | undefined;

/** The pool of this process; its directory goes when the process ends by itself, not when it is killed. */
export function sharedFifoPool(): FifoPool {
  if (shared === undefined) {
    const pool = new FifoPool();
    process.once('exit', () => pool.close());
    shared = pool;
  }
  return shared;
}
