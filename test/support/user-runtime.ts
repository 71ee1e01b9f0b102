import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CriClient } from '../../src/cri/index.ts';
import { BackgroundChild, mustRun, runChild } from './child.ts';
import { findBusybox, type ImageOptions, imageArchive } from './image.ts';
import { processTable } from './process-table.ts';
import { WalledPods } from './walled-pods.ts';

const MAIN = resolve(import.meta.dirname, '../../dist/cli/main.js');

/** A user without rights, by whom root takes part in these tests, and the name that /etc/passwd has for it. */
const NOBODY = { id: 65_534, name: 'nobody' } as const;
const isRoot = process.getuid?.() === 0;
const AS_USER = isRoot ? ['setpriv', `--reuid=${NOBODY.id}`, `--regid=${NOBODY.id}`, '--clear-groups'] : [];
/** Ids outside that the users inside are, from 1 on. */
const FIRST_MORE = 200_000;
/** Gives the user more ids in a mount namespace of its own: the machine's files stay as they are. */
const WITH_MORE = 'mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid && shift && exec "$@"';

export interface UserRuntimeOptions {
  /** More users than one inside, by uidmap. Takes root to set up. */
  readonly many?: boolean;
  readonly image?: ImageOptions;
}

/** Why the runtime of a user who is not root can give no container walls here, or undefined. */
export async function userObstacle({ many = false }: UserRuntimeOptions = {}): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'not Linux';
  if (findBusybox() === undefined) return 'no static BusyBox';
  const needed = ['setpriv', 'unshare', ...(many ? ['newuidmap', 'newgidmap'] : [])];
  for (const program of needed) {
    if ((await runChild('sh', ['-c', `command -v ${program}`])).exitCode !== 0) return `no ${program}`;
  }
  if (many && !(isRoot && existsSync('/etc/subuid') && existsSync('/etc/subgid'))) return 'not root, or no /etc/subuid';
  const [file = 'env', ...args] = AS_USER;
  const reads = await runChild(file, [...args, 'test', '-r', MAIN]);
  if (reads.exitCode !== 0) return `a user cannot read ${MAIN}`;
  const makes = await runChild(file, [...args, 'unshare', '-Urm', '--propagation', 'slave', 'true']);
  return makes.exitCode === 0 ? undefined : `no user namespaces: ${makes.stderr.toString().trim()}`;
}

/**
 * `podwire runtime --isolation on` as a process of a user who is not root, with TEST_IMAGE imported by the same user.
 *
 * Owns: the process and what it has started, its folder.
 */
export class UserRuntime extends WalledPods implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'podwire-user-'));
  readonly stateDir = join(this.directory, 'state');
  readonly #before: readonly string[];
  #child: BackgroundChild | undefined;
  #cri: CriClient | undefined;

  private constructor(many: boolean) {
    super();
    const ids = join(this.directory, 'ids');
    if (many) writeFileSync(ids, `${NOBODY.name}:${FIRST_MORE}:65536\n`);
    const more = many ? ['unshare', '--mount', '--', 'sh', '-c', WITH_MORE, 'podwire', ids] : [];
    this.#before = [...more, ...AS_USER, 'env', `HOME=${this.directory}`, process.execPath, MAIN];
    if (isRoot) chownSync(this.directory, NOBODY.id, NOBODY.id);
  }

  static async start({ many = false, image }: UserRuntimeOptions = {}): Promise<UserRuntime> {
    const runtime = new UserRuntime(many);
    try {
      const archive = join(runtime.directory, 'image.tar');
      writeFileSync(archive, imageArchive(image));
      await runtime.podwire('image', 'import', '--state-dir', runtime.stateDir, archive);
      await runtime.restart();
      return runtime;
    } catch (error) {
      await runtime[Symbol.asyncDispose]();
      throw error;
    }
  }

  get cri(): CriClient {
    if (this.#cri === undefined) throw new Error('the runtime does not run');
    return this.#cri;
  }

  /** Who holds the user namespace. */
  get record(): string {
    return join(this.stateDir, 'user-namespace.json');
  }

  /** Of the process that was started: it waits for the one inside. */
  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** A command line of podwire, by the user. @returns its stdout @throws Error when it fails */
  async podwire(...args: readonly string[]): Promise<string> {
    const [file = '', ...before] = this.#before;
    return mustRun(file, [...before, ...args]);
  }

  async restart(): Promise<void> {
    const [file = '', ...before] = this.#before;
    const args = [...before, 'runtime', '--isolation', 'on', '--state-dir', this.stateDir];
    this.#child = new BackgroundChild(file, args);
    await this.#child.waitForLog(/ready unix:/, 60_000);
    this.#cri = new CriClient(join(this.stateDir, 'runtime.sock'));
  }

  /** `kill -9` of the process that was started, and of no other: the kernel does the same to the one inside. */
  async kill(): Promise<void> {
    const { pid } = JSON.parse(readFileSync(join(this.stateDir, 'runtime.json'), 'utf8')) as { readonly pid: number };
    this.#child?.signal('SIGKILL');
    await this.#child?.exited;
    const isAlive = (): boolean => processTable().some((row) => row.pid === pid && row.state !== 'Z');
    while (isAlive()) await delay(10);
    await this.#cri?.close();
    this.#cri = undefined;
  }

  /** @returns the exit code after `signal` */
  async end(signal: NodeJS.Signals): Promise<number | null | undefined> {
    await this.#cri?.close();
    this.#cri = undefined;
    this.#child?.signal(signal);
    return (await this.#child?.exited)?.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGTERM');
    rmSync(this.directory, { recursive: true, force: true });
  }
}
