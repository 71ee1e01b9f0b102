import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { ExecPathError, toError } from '../../common/errors.ts';
import { bootId, listPids, processStart, readProcess } from '../process/index.ts';
import { writeWhole } from '../whole-file.ts';
import { runTool, TOOL_PATH, toolPath } from './tool.ts';

/** Root inside is the user outside. With mounts of its own, which the host does not see. */
const FLAGS = ['--user', '--map-root-user', '--mount', '--propagation', 'slave'];
/** Other users inside are those that /etc/subuid and /etc/subgid give the user, set by setuid programs of uidmap. */
const MANY = '--map-auto';
/** A namespace takes milliseconds to make; one that takes longer than this, in ms, is stuck. */
const MAKE_MS = 30_000;
/** What is ending with a runtime is gone within so many looks, of as many ms. */
const LOOKS = 10;
const LOOK_MS = 20;
const HOLD = 'echo held; exec sleep infinity';

const recorded = z.object({ pid: z.int(), startTicks: z.int(), bootId: z.string() });
type Holder = z.infer<typeof recorded>;

/** Why this user can have no user namespace with mounts of its own, or undefined. */
export async function userNamespaceObstacle(): Promise<string | undefined> {
  try {
    await runTool(['unshare', ...FLAGS, '--', 'true']);
    return undefined;
  } catch (thrown) {
    return toError(thrown).message;
  }
}

/** Whether a user namespace of this user can have more users than one. */
export async function hasManyUsers(): Promise<boolean> {
  try {
    await runTool(['unshare', ...FLAGS, MANY, '--', 'true']);
    return true;
  } catch {
    return false;
  }
}

/**
 * A user namespace in which somebody who is not root can mount and have containers. A process that only waits holds it,
 * so that mounts outlive a runtime that was killed.
 *
 * Owns: the holder, until nobody else is in the namespace.
 */
export class UserNamespace {
  readonly #holder: Holder;
  readonly #record: string | undefined;

  private constructor(holder: Holder, record: string | undefined) {
    this.#holder = holder;
    this.#record = record;
  }

  /**
   * Finds the one that `record` names, or makes it.
   *
   * @param record file that says who holds it; without one it ends with this process
   * @throws ExecPathError ERR_ISOLATION
   */
  static async open(record?: string): Promise<UserNamespace> {
    const found = record === undefined ? undefined : livingHolder(record);
    if (found !== undefined) return new UserNamespace(found, record);
    const holder = await startHolder(record === undefined);
    const made = new UserNamespace(holder, record);
    if (record === undefined) return made;
    try {
      mkdirSync(dirname(record), { recursive: true, mode: 0o700 });
      writeWhole(record, holder);
      return made;
    } catch (thrown) {
      await made.release();
      throw thrown;
    }
  }

  /** The words before a command that runs in here, from the folder `cwd`. It is killed when who started it is. */
  way(cwd: string): string[] {
    const { pid } = this.#holder;
    const enter = [`--user=/proc/${pid}/ns/user`, `--mount=/proc/${pid}/ns/mnt`, '--preserve-credentials', '--'];
    return [
      [toolPath('nsenter') ?? 'nsenter', ...enter],
      [toolPath('setpriv') ?? 'setpriv', '--pdeathsig', 'KILL', '--'],
      // Of the mounts in here, not those outside.
      [toolPath('sh') ?? 'sh', '-c', 'cd -- "$1" && shift && exec "$@"', 'podwire', cwd],
    ].flat();
  }

  /** Lets go of it: with nobody else in it, such as a container that outlives its runtime, it ends. */
  async release(): Promise<void> {
    for (let looks = 0; this.#hasOthers(); looks += 1) {
      if (looks === LOOKS) return;
      await delay(LOOK_MS);
    }
    // Of two who made one at once the second is on record.
    const isOnRecord = this.#record !== undefined && livingHolder(this.#record)?.pid === this.#holder.pid;
    if (isOnRecord) rmSync(this.#record, { force: true });
    if (namespaceOf(this.#holder.pid) !== undefined) process.kill(this.#holder.pid, 'SIGKILL');
  }

  #hasOthers(): boolean {
    const { pid } = this.#holder;
    const own = namespaceOf(pid);
    const isIn = (other: number): boolean => other !== pid && namespaceOf(other) === own;
    return own !== undefined && listPids().some((other) => isIn(other) && readProcess(other)?.isZombie === false);
  }
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`);
  } catch {
    return undefined;
  }
}

function livingHolder(record: string): Holder | undefined {
  let holder: Holder;
  try {
    holder = recorded.parse(JSON.parse(readFileSync(record, 'utf8')));
  } catch {
    // Missing or torn: then there is none.
    return undefined;
  }
  const { pid, startTicks } = holder;
  return holder.bootId === bootId() && processStart(pid) === startTicks ? holder : undefined;
}

async function startHolder(isTransient: boolean): Promise<Holder> {
  const users = (await hasManyUsers()) ? [MANY] : [];
  const bond = isTransient ? [toolPath('setpriv') ?? 'setpriv', '--pdeathsig', 'KILL', '--'] : [];
  const argv = [...FLAGS, ...users, '--', ...bond, toolPath('sh') ?? 'sh', '-c', HOLD];
  const holder = spawn(toolPath('unshare') ?? 'unshare', argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: TOOL_PATH },
    cwd: '/',
    detached: true,
  });
  let said = '';
  holder.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const signal = AbortSignal.timeout(MAKE_MS);
  try {
    await Promise.race([
      once(holder.stdout, 'data', { signal }),
      once(holder, 'exit', { signal }).then(() => Promise.reject(new Error(said.trim() || 'unshare(1) ended'))),
    ]);
  } catch (cause) {
    holder.kill('SIGKILL');
    const message = `no user namespace can be made: ${toError(cause).message}`;
    throw new ExecPathError('ERR_ISOLATION', message, { cause, hop: 'runtime' });
  } finally {
    holder.stdout.destroy();
    holder.stderr.destroy();
  }
  holder.unref();
  const pid = holder.pid ?? 0;
  return { pid, startTicks: processStart(pid) ?? 0, bootId: bootId() };
}
