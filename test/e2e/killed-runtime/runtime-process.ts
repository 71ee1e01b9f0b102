import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CriClient } from '../../../src/cri/index.ts';
import { ImageStore } from '../../../src/runtime/index.ts';
import { isolationObstacle } from '../../../src/runtime/isolation/index.ts';
import { PodNetwork } from '../../../src/runtime/isolation/network.ts';
import { BackgroundChild } from '../../support/child.ts';
import { findBusybox, imageArchive } from '../../support/image.ts';

const MAIN = resolve(import.meta.dirname, '../../support/hop-main.mjs');
const BUILT = resolve(import.meta.dirname, '../../../dist/runtime/index.js');

/** How long a clean stop may take on a machine that is busy, in ms. */
const STOP_MS = 60_000;
/** How long a start may take that has much to clear away, in ms. */
const START_MS = 120_000;

/**
 * The runtime as a process that can be killed and started again where it was, with an image for walls where there can be
 * any.
 *
 * Owns: the process, a temporary directory.
 */
export class RuntimeProcess implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'podwire-killed-'));
  readonly stateDir = join(this.directory, 'state');
  readonly archive = join(this.directory, 'image.tar');
  /** Above the cgroups of its pods, and of nobody else's. */
  readonly cgroupParent = `/${basename(this.directory)}`;
  /** Whether containers can have walls here. */
  readonly hasWalls: boolean;
  /** Whether ports of the host can lead to its pods. */
  readonly mapsPorts: boolean;
  #child: BackgroundChild | undefined;
  #client: CriClient | undefined;

  private constructor(hasWalls: boolean) {
    this.hasWalls = hasWalls;
    this.mapsPorts = hasWalls && PodNetwork.find(this.stateDir)?.mapsPorts === true;
  }

  static async start(): Promise<RuntimeProcess> {
    if (!existsSync(BUILT)) throw new Error(`${BUILT} is missing: npm run build`);
    const hasWalls = findBusybox() !== undefined && (await isolationObstacle()) === undefined;
    const runtime = new RuntimeProcess(hasWalls);
    if (hasWalls) {
      writeFileSync(runtime.archive, imageArchive());
      await new ImageStore(runtime.stateDir).import(runtime.archive);
    }
    await runtime.restart();
    return runtime;
  }

  get client(): CriClient {
    if (this.#client === undefined) throw new Error('the runtime does not run');
    return this.#client;
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** Of all processes of this runtime and those before it. */
  get marker(): string {
    return (JSON.parse(readFileSync(join(this.stateDir, 'runtime.json'), 'utf8')) as { marker: string }).marker;
  }

  /** What the last one said. */
  get log(): string {
    return this.#child?.log ?? '';
  }

  /** `kill -9` of the runtime alone: what it has started does not hear of it. */
  async kill(): Promise<void> {
    const child = this.#child;
    child?.signal('SIGKILL');
    await child?.exited;
    await this.#client?.close();
    this.#client = undefined;
  }

  async restart(): Promise<void> {
    const options = { stateDir: this.stateDir, isolation: this.hasWalls };
    this.#child = new BackgroundChild(process.execPath, [MAIN, 'runtime', JSON.stringify(options)]);
    await this.#child.waitForLog(/ready (\{.*\})/, START_MS);
    this.#client = new CriClient(join(this.stateDir, 'runtime.sock'));
  }

  /** SIGTERM: a clean stop. */
  async stop(): Promise<void> {
    await this.#client?.close();
    this.#client = undefined;
    // Many containers take their time.
    this.#child?.signal('SIGTERM');
    await Promise.race([this.#child?.exited, delay(STOP_MS, undefined, { ref: false })]);
    await this.#child?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    try {
      rmSync(this.directory, { recursive: true, force: true });
    } catch {
      // Something is mounted there still: the test has failed, and says why.
    }
  }
}
