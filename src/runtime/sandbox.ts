import type { PodSandboxConfig } from '../cri/index.ts';
import { nowNs } from './ending.ts';
import type { Pod } from './isolation/index.ts';
import type { Stored } from './object-store.ts';
import type { RecordFolder } from './record-folder.ts';

export interface SandboxOptions {
  readonly config: PodSandboxConfig;
  readonly runtimeHandler: string;
  readonly pod: Pod | undefined;
  readonly records: RecordFolder;
  /** Default: now. */
  readonly createdAt?: bigint;
  /** Default: true. */
  readonly isReady?: boolean;
}

/** A pod: a name, a configuration and a state, and where containers have walls the namespaces that they share. */
export class Sandbox implements Stored {
  readonly id: string;
  readonly name: string;
  readonly config: PodSandboxConfig;
  readonly runtimeHandler: string;
  /** undefined when its containers isolate nothing: its network is then the host's. */
  readonly pod: Pod | undefined;
  readonly createdAt: bigint;
  readonly #records: RecordFolder;
  #isReady: boolean;

  constructor(id: string, name: string, options: SandboxOptions) {
    this.id = id;
    this.name = name;
    this.config = options.config;
    this.runtimeHandler = options.runtimeHandler;
    this.pod = options.pod;
    this.createdAt = options.createdAt ?? nowNs();
    this.#records = options.records;
    this.#isReady = options.isReady ?? true;
  }

  /** Once false it stays so. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Written down before anything is ended, so that who finds it half stopped goes on. */
  stop(): void {
    if (!this.#isReady) return;
    this.#isReady = false;
    this.#records.attempt(() => this.save());
  }

  /** Writes down what there is to know of it. */
  save(): void {
    const { id, name, config, runtimeHandler, createdAt, isReady } = this;
    this.#records.writeSandbox({ format: 1, id, name, config, runtimeHandler, createdAt, isReady });
  }

  /** From now on it is only what is left of it. */
  forget(): void {
    this.#records.remove('sandbox', this.id);
  }
}
