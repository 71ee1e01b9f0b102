import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerOptions } from './container.ts';
import {
  adoptKept,
  hangUpMarked,
  type Keeping,
  type KeptSpec,
  keeperObstacle,
  killMarked,
  type MarkedProcess,
  type ProcessExit,
  type ProcessSpec,
  type RunningProcess,
  readExit,
  startKept,
  startProcess,
} from './process/index.ts';

/** How long a command whose client was lost with an earlier runtime has between hang-up and kill, in ms. */
const HANG_UP_MS = 5_000;

/**
 * What outlives the runtime of a container that runs: its keeper, and a folder with its streams, its exit code and a note
 * of each command beside it.
 */
export class ContainerKeeping {
  readonly #options: ContainerOptions;

  constructor(options: ContainerOptions) {
    this.#options = options;
  }

  /** What of the container's command is known before it is started, and after it was found again. */
  get spec(): KeptSpec {
    const { marker, config, confinement } = this.#options;
    const { stdin, tty } = config;
    const confined = confinement !== undefined;
    return { stdin, stdout: true, stderr: !tty, marker, ...(tty && { tty }), ...(confined && { confined }) };
  }

  /** Where the beginning of a line waits for the rest of it. */
  get restFile(): string {
    return join(this.#options.keptDir, 'log-rest');
  }

  /** How it ended, if it has. */
  get exit(): ProcessExit | undefined {
    return readExit(this.#options.keptDir);
  }

  /** Starts a command that is kept, or where nobody can keep it one that ends with us. @throws as `startProcess` */
  start(spec: ProcessSpec): Promise<RunningProcess> {
    const { config, pipes } = this.#options;
    return keeperObstacle(config.tty) === undefined ? startKept(spec, this.#keeping()) : startProcess(spec, { pipes });
  }

  /**
   * Finds the command again that an earlier runtime started.
   *
   * @param marked all processes with a mark of the container or of who keeps it
   */
  adopt(marked: readonly MarkedProcess[]): Promise<RunningProcess | undefined> {
    const keepers = marked.filter(({ session }) => session.startsWith(this.#options.keeperMarker));
    return adoptKept(this.spec, this.#keeping(), keepers);
  }

  /** While a command runs beside a kept container a file says so: its client goes with us. */
  noteExec({ kept }: RunningProcess, name: string): { remove(): void } {
    const file = join(this.#options.keptDir, `exec-${name}`);
    if (kept !== undefined) writeFileSync(file, '');
    return { remove: () => rmSync(file, { force: true }) };
  }

  /** Commands whose client was lost with the runtime before; nobody waits for their end. */
  hangUpExecs(): void {
    const { keptDir, marker } = this.#options;
    for (const file of readdirSync(keptDir)) {
      const name = /^exec-(.+)$/.exec(file)?.[1];
      if (name === undefined) continue;
      void hangUpMarked(`${marker}/${name}`, HANG_UP_MS).then(() => rmSync(join(keptDir, file), { force: true }));
    }
  }

  /**
   * Ends every process of a container that does not run, and removes what was kept of it.
   *
   * @returns what had to be mended, or undefined
   */
  async clear(marked: readonly MarkedProcess[]): Promise<string | undefined> {
    const { keptDir, marker, keeperMarker } = this.#options;
    const haveRun = marked.some(({ session }) => !session.startsWith(keeperMarker));
    if (marked.length > 0) await Promise.all([killMarked(marker), killMarked(keeperMarker)]);
    rmSync(keptDir, { recursive: true, force: true });
    return haveRun ? 'processes of it were left and are ended' : undefined;
  }

  #keeping(): Keeping {
    const { keptDir, keeperMarker, pipes, config } = this.#options;
    const isInputOnce = config.stdin && config.stdinOnce && !config.tty;
    return { directory: keptDir, marker: keeperMarker, pipes, isInputOnce };
  }
}
