import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, readlinkSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ExecPathError } from '../../common/errors.ts';
import { SingleFlight } from '../../common/single-flight.ts';
import { IdMap, killMarked, SESSION_VARIABLE } from '../process/index.ts';
import { DEV_SKELETON } from './mount-plan.ts';
import { unmountBelow } from './mounts.ts';
import { runTool, TOOL_PATH, toolPath } from './tool.ts';

/** The folders of a host in which its programs and their libraries are. */
const PROGRAM_FOLDERS = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'usr'];

/**
 * A root folder with nothing but the host's programs, read-only: what a process sees that has the rights of a container
 * already and not its root yet. A neighbour in the same pod may look through `/proc/<pid>/root` of such a process, and
 * must not find the host there.
 *
 * ```
 * bin sbin lib … usr   the host's, read-only     old   where the root before is put
 * r                    where a container's is    proc  → r/proc   dev/null   skeleton  what a new /dev begins as
 * ```
 *
 * Its holder is a process that has it as root, and nothing above it, in a mount namespace of its own. One that somebody
 * killed is followed by another.
 * Owns: the folder's mounts, the holder.
 */
export class ToolsRoot {
  readonly path: string;
  readonly #marker: string;
  #holder: ChildProcess;
  readonly #renewal = new SingleFlight(async () => {
    this.#holder = await startHolder(this.path, this.#marker);
  });
  #isClosed = false;

  private constructor(path: string, marker: string, holder: ChildProcess) {
    this.path = path;
    this.#marker = marker;
    this.#holder = holder;
  }

  /** @throws ExecPathError ERR_ISOLATION when the host does not let us mount */
  static async create(path: string, marker: string): Promise<ToolsRoot> {
    await ToolsRoot.drop(path, marker);
    mkdirSync(path, { recursive: true, mode: 0o755 });
    try {
      await runTool(['mount', '-t', 'tmpfs', '-o', 'nosuid,nodev,mode=755,size=1m', 'podwire-tools', path]);
      await runTool(['mount', '--make-private', path]);
      for (const name of PROGRAM_FOLDERS) await showFolder(name, path);
      for (const name of ['old', 'r']) mkdirSync(join(path, name));
      makeSkeleton(join(path, 'skeleton'));
      symlinkSync('r/proc', join(path, 'proc'));
      // A shell opens it for whatever it starts in the background.
      mkdirSync(join(path, 'dev'));
      writeFileSync(join(path, 'dev/null'), '');
      await runTool(['mount', '-o', 'bind', '/dev/null', join(path, 'dev/null')]);
      await runTool(['mount', '-o', 'remount,bind,ro,nosuid,nodev', path]);
      return new ToolsRoot(path, marker, await startHolder(path, marker));
    } catch (thrown) {
      await unmountBelow(path);
      throw thrown;
    }
  }

  /** Takes away the one of a runtime that was killed: who runs in a container has left it long ago. */
  static async drop(path: string, marker: string): Promise<void> {
    await killMarked(`${marker}/tools`);
    await unmountBelow(path);
    // rmdir: whatever is mounted there after all is not touched.
    if (existsSync(path)) rmdirSync(path);
  }

  /** Makes a holder anew that has died. @throws ExecPathError ERR_ISOLATION */
  async hold(): Promise<void> {
    if (this.#isHeld || this.#isClosed) return;
    await this.#renewal.run();
  }

  /** One that is dead has no namespace any more, before we hear of its end too. */
  get #isHeld(): boolean {
    const { exitCode, signalCode } = this.#holder;
    return exitCode === null && signalCode === null && existsSync(this.mountNamespace);
  }

  /** Its programs are looked up by a process that has nothing else. */
  get root(): string {
    return `/proc/${this.#holder.pid}/root`;
  }

  /** A folder to copy into a new /dev. */
  get skeleton(): string {
    return join(this.path, 'skeleton');
  }

  /** Where a container's root is put with all its mounts. */
  get place(): string {
    return join(this.path, 'r');
  }

  get mountNamespace(): string {
    return `/proc/${this.#holder.pid}/ns/mnt`;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#renewal.settled();
    this.#holder.kill('SIGKILL');
    await unmountBelow(this.path);
    // rmdir: whatever is mounted there after all is not touched.
    rmdirSync(this.path);
  }
}

async function showFolder(name: string, path: string): Promise<void> {
  const stats = lstatSync(`/${name}`, { throwIfNoEntry: false });
  if (stats?.isSymbolicLink() === true) symlinkSync(readlinkSync(`/${name}`), join(path, name));
  if (stats?.isDirectory() !== true) return;
  mkdirSync(join(path, name));
  // What is mounted below a folder cannot be left out by root of a user namespace.
  const bind = IdMap.own().isWhole ? 'bind' : 'rbind';
  await runTool(['mount', '-o', `${bind},ro`, `/${name}`, join(path, name)]);
}

function makeSkeleton(path: string): void {
  mkdirSync(path);
  for (const name of DEV_SKELETON.folders) mkdirSync(join(path, name));
  for (const name of DEV_SKELETON.files) writeFileSync(join(path, name), '');
  for (const [name, target] of Object.entries(DEV_SKELETON.links)) symlinkSync(target, join(path, name));
}

/** A pivot_root(2) takes a millisecond; a machine where it takes longer than this, in ms, is stuck. */
const HOLD_MS = 30_000;
const HOLD = 'cd "$1" && pivot_root . old && echo held && exec sleep infinity';

async function startHolder(path: string, marker: string): Promise<ChildProcess> {
  const argv = ['--mount', '--propagation', 'private', '--', toolPath('sh') ?? 'sh', '-c', HOLD, 'podwire', path];
  const holder = spawn(toolPath('unshare') ?? 'unshare', argv, {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: TOOL_PATH, [SESSION_VARIABLE]: `${marker}/tools` },
    detached: true,
  });
  const signal = AbortSignal.timeout(HOLD_MS);
  try {
    await Promise.race([once(holder.stdout, 'data', { signal }), once(holder, 'exit', { signal })]);
  } catch (cause) {
    holder.kill('SIGKILL');
    const rule = `the tools root was not held within ${HOLD_MS / 1000} s`;
    throw new ExecPathError('ERR_ISOLATION', rule, { cause, hop: 'runtime' });
  } finally {
    holder.stdout.destroy();
  }
  holder.unref();
  const outside = ['nsenter', `--mount=/proc/${holder.pid}/ns/mnt`, '--root=/', '--wd=/', '--'];
  try {
    await runTool([...outside, 'umount', '-l', `/proc/${holder.pid}/root/old`]);
    return holder;
  } catch (thrown) {
    holder.kill('SIGKILL');
    throw thrown;
  }
}
