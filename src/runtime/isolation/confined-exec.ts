import { closeSync, existsSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toError } from '../../common/errors.ts';
import {
  CommandStartError,
  IdMap,
  lookUpCommand,
  nativePty,
  type ProcessExit,
  type ProcessSpec,
  type RunningProcess,
  startProcess,
} from '../process/index.ts';
import { requireDirectory, withTerminal } from './confined-command.ts';
import type { ConfinementOptions } from './confinement.ts';
import { outOfMemoryScoreOf } from './container-cgroup.ts';
import { passEnvironment } from './environment.ts';
import { readEnd } from './file-text.ts';
import { hasBecome, isOurs, wayToExec } from './way-in.ts';

/**
 * The commands that run beside the first process of one container.
 *
 * Owns: their environments and the complaints of their ways in, in the container's folder.
 */
export class ConfinedExecs {
  readonly #options: ConfinementOptions;
  readonly #first: () => number | undefined;
  #started = 0;

  /** @param first pid of the first process, on the host */
  constructor(options: ConfinementOptions, first: () => number | undefined) {
    this.#options = options;
    this.#first = first;
  }

  /**
   * Starts a command beside the first process. Who waits for its end hears there of a way in that failed.
   *
   * @throws CommandStartError, which says so when the container is gone; RuntimeCallError when exec cannot keep the
   * container's limits
   */
  async start(wanted: ProcessSpec): Promise<RunningProcess> {
    try {
      return await this.#start(wanted);
    } catch (thrown) {
      // A root that is not there any more looks like one without the command, the folder, the file.
      throw this.#isGone ? goneError(toError(thrown).message, thrown) : thrown;
    }
  }

  async #start(wanted: ProcessSpec): Promise<RunningProcess> {
    const first = this.#first() ?? 0;
    // Among the machine's processes its session is right as it is, and setsid(1) would end before the command.
    const leavesPids = !isOurs(`/proc/${first}/ns/pid`);
    const takesTerminal = wanted.tty !== undefined && leavesPids && (IdMap.own().isWhole || nativePty() !== undefined);
    const spec = { ...withTerminal(wanted), takesTerminal };
    const { directory, user, pipes } = this.#options;
    const tools = await this.#options.tools();
    const root = `/proc/${first}/root`;
    requireDirectory(spec.cwd, root);
    const lookUp = (name: string): string =>
      lookUpCommand(name, { path: spec.env['PATH'] ?? '', cwd: spec.cwd, root, user });
    lookUp(spec.argv[0] ?? '');
    this.#started += 1;
    const env = join(directory, `environment-${this.#started}`);
    const errors = join(directory, `exec-errors-${this.#started}`);
    let complaints: number | undefined;
    try {
      const { argv, evaluate } = passEnvironment(spec.argv, spec.env, {
        file: env,
        user,
        root,
        cwd: spec.cwd,
        beforeHostProgram: true,
      });
      // With a block of its own already: on a disk that is full for the container's user it is still said who got there.
      writeFileSync(errors, '\n', { mode: 0o600 });
      // Open from here on: a container that is removed takes the file along before it is read.
      const held = openSync(errors, 'r');
      complaints = held;
      const way = {
        files: [errors, env] as const,
        evaluate,
        first,
        tools,
        memberFiles: this.#options.cgroup.memberFiles,
        outOfMemoryScore: outOfMemoryScoreOf(first),
        program: lookUp(argv[0] ?? ''),
      };
      return await startProcess(
        { ...spec, argv, confined: true, user, wrapper: wayToExec({ ...way, rights: this.#options, spec }) },
        { pipes, judge: (exit) => this.#judge(exit, held, errors) },
      );
    } catch (thrown) {
      if (complaints !== undefined) closeSync(complaints);
      rmSync(errors, { force: true });
      throw thrown;
    } finally {
      // The shell has it open once the process runs; a name is needed only until then.
      setTimeout(() => rmSync(env, { force: true }), ENVIRONMENT_MS).unref();
    }
  }

  /**
   * How an exec ended: as its command did, or before that was reached, when the code is that of a tool.
   *
   * @param complaints where the tools of its way in complained, open; closed
   * @param errors the same by its path; removed
   */
  async #judge(exit: ProcessExit, complaints: number, errors: string): Promise<ProcessExit> {
    const said = readEnd(complaints);
    closeSync(complaints);
    rmSync(errors, { force: true });
    // No tool ends well but as the command.
    if (exit.code === 0 || hasBecome(said)) return exit;
    const words = said.trim();
    // Whoever ends a container may reach those on their way in before its first process.
    if (exit.code === KILLED) await this.#gone();
    if (this.#isGone) return { ...exit, failure: goneError(words) };
    const failed = words || `the way into the container ended with code ${exit.code}`;
    return { ...exit, failure: new CommandStartError('ERR_COMMAND_START', failed) };
  }

  /** A process that ends loses its root before anybody hears of its end. */
  get #isGone(): boolean {
    return !existsSync(`/proc/${this.#first()}/root`);
  }

  /** Resolves when the container is gone, or {@link GONE_MS} have passed. */
  async #gone(): Promise<void> {
    const deadline = performance.now() + GONE_MS;
    while (!this.#isGone && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** @param words what was heard of it on the way in */
function goneError(words: string, cause?: unknown): CommandStartError {
  const rule = 'the container has ended before the command began';
  return new CommandStartError('ERR_COMMAND_START', words === '' ? rule : `${rule}: ${words}`, cause);
}

/** The code of a process that SIGKILL ended. */
const KILLED = 137;
/** A first process that is killed with all others is gone within milliseconds; longer, in ms, nobody waits for it. */
const GONE_MS = 1_000;
/** How long a shell may take to open the file of an environment, in ms. */
const ENVIRONMENT_MS = 30_000;
