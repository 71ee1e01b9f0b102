import type { PodSandboxConfig } from '../cri/index.ts';
import { nowNs } from './container.ts';
import type { Stored } from './object-store.ts';

/** A pod: a name, a configuration and a state. Its network is the host's. */
export class Sandbox implements Stored {
  readonly id: string;
  readonly name: string;
  readonly config: PodSandboxConfig;
  readonly runtimeHandler: string;
  readonly createdAt = nowNs();
  #isReady = true;

  constructor(id: string, name: string, config: PodSandboxConfig, runtimeHandler: string) {
    this.id = id;
    this.name = name;
    this.config = config;
    this.runtimeHandler = runtimeHandler;
  }

  /** Once false it stays so. */
  get isReady(): boolean {
    return this.#isReady;
  }

  stop(): void {
    this.#isReady = false;
  }
}
