import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BackgroundChild, type ChildOptions, type ChildResult, mustRun, runChild } from './child.ts';

const BOOT_SCRIPT = resolve(import.meta.dirname, 'boot-host.sh');
const BOOT_DEADLINE_MS = 30_000;
const CGROUPS = '/sys/fs/cgroup';

let count = 0;

/**
 * A machine of its own on this machine: systemd as its first process, and its own files, network, name and cgroups. Its
 * files are those of this machine until it changes them.
 *
 * Owns: all of that, and every process inside.
 */
export class Host implements AsyncDisposable {
  readonly name: string;
  /** Its first process as this machine sees it. */
  readonly pid: number;
  readonly #boot: BackgroundChild;
  readonly #cgroup: string;
  readonly #folder: string;

  private constructor(
    name: string,
    boot: BackgroundChild,
    places: { readonly cgroup: string; readonly folder: string },
  ) {
    this.name = name;
    this.#boot = boot;
    this.#cgroup = places.cgroup;
    this.#folder = places.folder;
    this.pid = childrenOf(boot.pid)[0] ?? 0;
  }

  /** @throws Error with systemd's log when the machine is not up within 30 s */
  static async boot(name: string): Promise<Host> {
    count += 1;
    const cgroup = `podwire-host-${process.pid}-${count}`;
    const folder = mkdtempSync(join(tmpdir(), 'podwire-host-'));
    const boot = new BackgroundChild(BOOT_SCRIPT, [name, cgroup, folder]);
    try {
      const deadline = Date.now() + BOOT_DEADLINE_MS;
      for (;;) {
        const host = new Host(name, boot, { cgroup, folder });
        if (host.pid > 0 && (await host.run(['systemctl', 'is-active', 'basic.target'])).exitCode === 0) return host;
        if (Date.now() > deadline) throw new Error(`${name} does not come up: ${boot.log}`);
        await delay(50);
      }
    } catch (error) {
      await end(boot, { cgroup, folder });
      throw error;
    }
  }

  /** Runs a program as root, in root's home and with root's environment. */
  run(argv: readonly string[], options: ChildOptions = {}): Promise<ChildResult> {
    return runChild('nsenter', this.#args(argv), { ...options, env: {} });
  }

  /** As run, and gives stdout. @throws Error with stderr for an exit code other than 0 */
  must(...argv: string[]): Promise<string> {
    return mustRun('nsenter', this.#args(argv), { env: {} });
  }

  /** Program and arguments that run `argv` inside, for those who start it themselves. */
  commandLine(...argv: string[]): [string, ...string[]] {
    return ['nsenter', ...this.#args(argv)];
  }

  /** Path by which this machine sees a file or a socket of the host. */
  path(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  /** Kills everything inside, and removes its files. Twice is once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#boot, { cgroup: this.#cgroup, folder: this.#folder });
  }

  #args(argv: readonly string[]): string[] {
    const spaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup'];
    const env = ['env', '-i', '--chdir=/root', 'HOME=/root', 'USER=root', 'LANG=C.UTF-8', `PATH=${ROOT_PATH}`];
    return [`--target=${this.pid}`, ...spaces, ...env, ...argv];
  }
}

const ROOT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

async function end(
  boot: BackgroundChild,
  { cgroup, folder }: { readonly cgroup: string; readonly folder: string },
): Promise<void> {
  // The machine is killed with the process that made it, and all of its processes with its first one.
  await boot.kill();
  const hierarchies = existsSync(join(CGROUPS, 'cgroup.controllers'))
    ? [CGROUPS]
    : readdirSync(CGROUPS).map((name) => join(CGROUPS, name));
  for (const hierarchy of hierarchies) await removeCgroup(join(hierarchy, cgroup));
  rmSync(folder, { recursive: true, force: true });
}

/** Those below first; a cgroup is busy until its last process has been taken away. */
async function removeCgroup(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of below) await removeCgroup(join(path, name));
  for (let attempt = 0; existsSync(path); attempt += 1) {
    try {
      rmdirSync(path);
    } catch (error) {
      if (attempt > 200) throw error;
      await delay(10);
    }
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
