import type { PodSandboxConfig } from '../cri/index.ts';
import { nowNs } from './container.ts';
import type { Pod } from './isolation/index.ts';
import type { Stored } from './object-store.ts';

/** A pod: a name, a configuration and a state, and where containers have walls the namespaces that they share. */
export class Sandbox implements Stored {
  readonly id: string;
  readonly name: string;
  readonly config: PodSandboxConfig;
  readonly runtimeHandler: string;
  /** undefined when its containers isolate nothing: its network is then the host's. */
  readonly pod: Pod | undefined;
  readonly createdAt = nowNs();
  #isReady = true;

  constructor(
    id: string,
    name: string,
    options: { readonly config: PodSandboxConfig; readonly runtimeHandler: string; readonly pod: Pod | undefined },
  ) {
    this.id = id;
    this.name = name;
    this.config = options.config;
    this.runtimeHandler = options.runtimeHandler;
    this.pod = options.pod;
  }

  /** Once false it stays so. */
  get isReady(): boolean {
    return this.#isReady;
  }

  stop(): void {
    this.#isReady = false;
  }
}
