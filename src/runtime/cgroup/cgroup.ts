import { closeSync, constants, existsSync, mkdirSync, openSync, readFileSync, rmdirSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { toError } from '../../common/errors.ts';
import { grpcCodes, RuntimeCallError } from '../../cri/index.ts';
import { type Controller, delegate, type Hierarchy } from './hierarchy.ts';
import type { LimitWrite } from './limit-writes.ts';
import { type CgroupUsage, usageOf } from './usage.ts';

/** Processes that even SIGKILL does not end (they hang in the kernel) are given up after this long, in ms. */
const KILL_DEADLINE_MS = 5_000;
const FIRST_LOOK_MS = 1;
const LONGEST_LOOK_MS = 50;

/**
 * One cgroup: a folder of the same path in each hierarchy, whatever their versions are.
 *
 * Owns nothing by itself: who calls {@link make} calls {@link remove}.
 */
export class Cgroup {
  /** From the root of each hierarchy, such as `/kubepods/burstable/pod1/c1`. */
  readonly path: string;
  readonly #hierarchies: readonly Hierarchy[];

  constructor(path: string, hierarchies: readonly Hierarchy[]) {
    this.path = path;
    this.#hierarchies = hierarchies;
  }

  get parent(): Cgroup {
    return new Cgroup(dirname(this.path), this.#hierarchies);
  }

  child(name: string): Cgroup {
    return new Cgroup(join(this.path, name), this.#hierarchies);
  }

  get exists(): boolean {
    return this.#hierarchies.some(({ mount }) => existsSync(join(mount, this.path)));
  }

  /** Version of the hierarchy that has `controller`. */
  versionOf(controller: Controller): 1 | 2 | undefined {
    return this.#of(controller)?.version;
  }

  /** Absolute path of a file of `controller` here, or undefined where nobody has the controller. */
  file(controller: Controller, name: string): string | undefined {
    const hierarchy = this.#of(controller);
    return hierarchy && join(hierarchy.mount, this.path, name);
  }

  /** A process that writes `0` to each of these is a member, and so are its children from then on. */
  get memberFiles(): string[] {
    return this.#hierarchies.map(({ mount }) => join(mount, this.path, 'cgroup.procs'));
  }

  /** Makes it, and what is missing above it. @throws Error of the system */
  make(): void {
    for (const hierarchy of this.#hierarchies) makeFolder(hierarchy, this.path);
  }

  /** Takes in a process that is there already; its children only from now on. @throws Error of the system */
  add(pid: number): void {
    for (const file of this.memberFiles) writeLimit(file, String(pid));
  }

  /**
   * Sets all or nothing: when one is refused, those before it are put back.
   *
   * @throws RuntimeCallError Unknown with the kernel's reason
   */
  set(writes: readonly LimitWrite[]): void {
    const done: { readonly file: string; readonly before: string }[] = [];
    for (const { controller, name, value, isOptional } of writes) {
      const file = this.file(controller, name);
      if (file === undefined || (isOptional === true && !existsSync(file))) continue;
      try {
        const before = readText(file);
        writeLimit(file, value);
        done.push({ file, before });
      } catch (cause) {
        for (const { file: changed, before } of done.toReversed()) {
          try {
            writeLimit(changed, before);
          } catch {
            // The kernel took it a moment ago; if not any more, there is nothing else to put there.
          }
        }
        const why = toError(cause).message.replace(/, write$/, '');
        const now = name.startsWith('memory.') ? ` (in use: ${this.usage().memory?.usageBytes ?? 0n} bytes)` : '';
        const message = `cannot set ${name} of cgroup ${this.path} to ${value}${now}: ${why}`;
        throw new RuntimeCallError(grpcCodes.Unknown, message, { cause });
      }
    }
  }

  /** Pids of its processes, those of cgroups below it not among them. */
  members(): number[] {
    const [file] = this.memberFiles.filter((path) => existsSync(path));
    if (file === undefined) return [];
    // A 0 is a process that our pid namespace does not know.
    return readText(file)
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 0);
  }

  /** How often the kernel killed one of its processes because the memory was all used. */
  outOfMemoryKills(): number {
    const name = this.versionOf('memory') === 1 ? 'memory.oom_control' : 'memory.events';
    const text = readText(this.file('memory', name) ?? '');
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
  }

  usage(): CgroupUsage {
    return usageOf(this);
  }

  /** SIGKILL to every process in it, however fast they fork; resolves when none is left, or after 5 s. */
  async kill(): Promise<void> {
    const deadline = performance.now() + KILL_DEADLINE_MS;
    for (let wait = FIRST_LOOK_MS; this.members().length > 0; wait = Math.min(wait * 2, LONGEST_LOOK_MS)) {
      this.#killOnce();
      if (performance.now() > deadline) return;
      await delay(wait);
    }
  }

  /** Removes the folders once the last process has been reaped, or gives up after 5 s. Never rejects; twice is once. */
  async remove(): Promise<void> {
    const deadline = performance.now() + KILL_DEADLINE_MS;
    for (let wait = FIRST_LOOK_MS; !this.removeEmpty(); wait = Math.min(wait * 2, LONGEST_LOOK_MS)) {
      if (performance.now() > deadline) return;
      await delay(wait);
    }
  }

  /** Removes what has neither processes nor children. @returns whether all of it is gone */
  removeEmpty(): boolean {
    return this.#hierarchies.map(({ mount }) => removeFolder(join(mount, this.path))).every((isGone) => isGone);
  }

  #of(controller: Controller): Hierarchy | undefined {
    return this.#hierarchies.find(({ controllers }) => controllers.includes(controller));
  }

  #killOnce(): void {
    const unified = this.#hierarchies.find(({ version }) => version === 2);
    if (unified !== undefined && tryWrite(join(unified.mount, this.path, 'cgroup.kill'), '1')) return;
    // Held still, none of them can fork away from the list.
    const freezer = this.file('freezer', 'freezer.state');
    if (freezer !== undefined) tryWrite(freezer, 'FROZEN');
    for (const pid of this.members()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // ESRCH: gone.
      }
    }
    if (freezer !== undefined) tryWrite(freezer, 'THAWED');
  }
}

function makeFolder(hierarchy: Hierarchy, path: string): void {
  const names = path.split('/').filter(Boolean);
  let folder = hierarchy.mount;
  for (const name of names) {
    if (hierarchy.version === 2) for (const controller of hierarchy.controllers) delegate(folder, controller);
    folder = join(folder, name);
    if (!existsSync(folder)) mkdirSync(folder);
    // A set of processors that is empty takes no process.
    if (hierarchy.version === 1 && hierarchy.controllers.includes('cpuset')) inheritCpuset(folder);
  }
}

function inheritCpuset(folder: string): void {
  for (const name of ['cpuset.cpus', 'cpuset.mems']) {
    const file = join(folder, name);
    if (readText(file).trim() === '') tryWrite(file, readText(join(dirname(folder), name)).trim());
  }
}

/** Not made when missing: a name that the kernel does not know must fail. */
function writeLimit(file: string, value: string): void {
  const fd = openSync(file, constants.O_WRONLY);
  try {
    writeSync(fd, value.trim());
  } finally {
    closeSync(fd);
  }
}

function tryWrite(file: string, value: string): boolean {
  try {
    writeLimit(file, value);
    return true;
  } catch {
    return false;
  }
}

function removeFolder(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Empty when there is no such file. */
function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
