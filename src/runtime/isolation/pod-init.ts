import { type ChildProcess, spawn } from 'node:child_process';
import { grpcCodes, RuntimeCallError } from '../../cri/index.ts';
import { childrenOf, IdMap, type MarkedProcess, ProcessHandle, SESSION_VARIABLE } from '../process/index.ts';
import { TOOL_PATH, toolPath } from './tool.ts';
import type { ToolsRoot } from './tools-root.ts';
import { groupsFlag } from './way-in.ts';

/** A process that SIGKILL does not end hangs in the kernel; longer than this, in ms, nobody waits for it. */
const GONE_MS = 5_000;
/** unshare(1) forks within a millisecond or two; so often it is asked for its child. */
const FORK_TRIES = 500;
const FORK_WAIT_MS = 2;
/** Nobody tells us of the end of a process that is not our child: it is looked at so often, in ms. */
const LOOK_MS = 1_000;

/** A user without rights, and his group. */
const NOBODY = 65_534;

/**
 * The first process of the pid namespace that the containers of a pod share: it reaps, and when it ends the kernel kills
 * everybody in there. Outside unshare(1) waits for it.
 *
 * Owns: both processes.
 */
export class PodInit {
  readonly #outer: ProcessHandle;
  readonly #first: ProcessHandle;
  readonly #onDeath: () => void;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  /** @param child the outer process, when it is our child */
  private constructor(
    pids: { readonly outer: number; readonly first: number },
    onDeath: () => void,
    child?: ChildProcess,
  ) {
    this.#outer = new ProcessHandle(pids.outer);
    this.#first = new ProcessHandle(pids.first);
    this.#onDeath = onDeath;
    if (child === undefined) this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
    else child.once('exit', () => this.#died());
  }

  /**
   * @param marker of both processes
   * @param onDeath called once, when one of them ends though nobody here ended it
   * @throws RuntimeCallError Unknown
   */
  static async start(tools: ToolsRoot, marker: string, onDeath: () => void): Promise<PodInit> {
    const child = spawnOuter(tools, marker);
    const outer = child.pid ?? 0;
    const runs = (): boolean => outer > 0 && child.exitCode === null && child.signalCode === null;
    for (let tries = 0; tries < FORK_TRIES && runs(); tries += 1) {
      const [first] = childrenOf(outer);
      if (first !== undefined) return new PodInit({ outer, first }, onDeath, child);
      await new Promise((resolve) => setTimeout(resolve, FORK_WAIT_MS));
    }
    child.kill('SIGKILL');
    throw new RuntimeCallError(grpcCodes.Unknown, 'the first process of the pod could not be started');
  }

  /**
   * Finds again what another process of ours started.
   *
   * @param marked processes with the mark of {@link start}
   * @param onDeath as there
   * @returns undefined when it is not there, or not whole
   */
  static adopt(marked: readonly MarkedProcess[], onDeath: () => void): PodInit | undefined {
    const all = new Set(marked.map(({ pid }) => pid));
    const outer = marked.find(({ parent }) => !all.has(parent))?.pid;
    const first = outer === undefined ? undefined : childrenOf(outer)[0];
    if (outer === undefined) return undefined;
    if (first !== undefined) return new PodInit({ outer, first }, onDeath);
    // It was about to fork when its runtime was killed.
    new ProcessHandle(outer).kill();
    return undefined;
  }

  /** Path of the namespace. */
  get namespace(): string {
    return `/proc/${this.#first.pid}/ns/pid`;
  }

  /** Kills both, and with the first every process in the namespace. Twice is once. */
  async end(): Promise<void> {
    this.leave();
    // What is set to die with unshare(1) forgets that when it changes its user: the first process itself is killed.
    for (const process of [this.#first, this.#outer]) process.kill();
    await Promise.all([this.#first.gone(GONE_MS), this.#outer.gone(GONE_MS)]);
  }

  /** Leaves both to another process of ours. */
  leave(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
  }

  #look(): void {
    if (!this.#first.isAlive || !this.#outer.isAlive) this.#died();
  }

  #died(): void {
    if (this.#isOver) return;
    this.leave();
    this.#onDeath();
  }
}

/** nsenter(1), which becomes unshare(1). */
function spawnOuter(tools: ToolsRoot, marker: string): ChildProcess {
  const ids = IdMap.own();
  // A namespace of a single user has nobody else.
  const id = ids.hasUser(NOBODY) && ids.hasGroup(NOBODY) ? NOBODY : 0;
  const user = [`--reuid=${id}`, `--regid=${id}`, groupsFlag([])];
  const nobody = [...user, '--bounding-set=-all', '--inh-caps=-all', '--nnp'];
  const enter = [`--mount=${tools.mountNamespace}`, '--', 'unshare', '--pid', '--fork', '--kill-child', '--'];
  const argv = [...enter, 'setpriv', ...nobody, '--', 'sh', '-c', 'tail -f /dev/null & wait'];
  const child = spawn(toolPath('nsenter') ?? 'nsenter', argv, {
    stdio: 'ignore',
    env: { PATH: TOOL_PATH, [SESSION_VARIABLE]: marker },
    detached: true,
  });
  child.on('error', () => {});
  child.unref();
  return child;
}
