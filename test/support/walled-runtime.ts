import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CriClient } from '../../src/cri/index.ts';
import { ImageStore, type RunningRuntime, type StartRuntimeOptions, startRuntime } from '../../src/runtime/index.ts';
import { type ImageOptions, imageArchive } from './image.ts';
import { WalledPods } from './walled-pods.ts';

export interface WalledRuntimeOptions {
  /** What is in TEST_IMAGE beside BusyBox. */
  readonly image?: ImageOptions;
  /** Where its folder is made; default: the system's temporary folder. */
  readonly parent?: string;
  readonly runtime?: Partial<StartRuntimeOptions>;
}

/**
 * Our runtime with isolation and TEST_IMAGE in it, in this process, and a client at its socket. Takes root.
 *
 * Owns: the runtime with all its containers, its folder.
 */
export class WalledRuntime extends WalledPods implements AsyncDisposable {
  /** Holds the folder `state` and nothing else. */
  readonly directory: string;
  readonly runtime: RunningRuntime;
  readonly cri: CriClient;

  private constructor(directory: string, runtime: RunningRuntime) {
    super();
    this.directory = directory;
    this.runtime = runtime;
    this.cri = new CriClient(runtime.endpoints[0] ?? '');
  }

  static async start(options: WalledRuntimeOptions = {}): Promise<WalledRuntime> {
    const directory = mkdtempSync(join(options.parent ?? tmpdir(), 'podwire-walled-'));
    try {
      const stateDir = join(directory, 'state');
      const archive = join(directory, 'image.tar');
      writeFileSync(archive, imageArchive(options.image));
      await new ImageStore(stateDir).import(archive);
      rmSync(archive);
      const runtime = await startRuntime({ stateDir, isolation: true, ...options.runtime });
      return new WalledRuntime(directory, runtime);
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cri.close();
    await this.runtime.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
