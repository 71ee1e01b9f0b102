import { type KubeClient, listWatch, type Pod, pods } from '../kubeapi/index.ts';
import { isMirror } from './mirror-pod.ts';

/** Follows the pods that the apiserver has bound to this node. */
export class ApiPods {
  readonly #client: KubeClient;
  readonly #nodeName: string;
  readonly #onError: (message: string) => void;
  readonly #stop = new AbortController();
  #round = new AbortController();
  readonly #pods = new Map<string, Pod>();
  #synced = false;
  #following: Promise<void> = Promise.resolve();

  constructor(client: KubeClient, nodeName: string, onError: (message: string) => void) {
    this.#client = client;
    this.#nodeName = nodeName;
    this.#onError = onError;
  }

  /** Undefined until the first list has arrived. Mirrors are left out: this node wrote them itself. */
  pods(): readonly Pod[] | undefined {
    return this.#synced ? [...this.#pods.values()].filter((pod) => !isMirror(pod)) : undefined;
  }

  /** All that the apiserver holds for this node, mirrors included. Undefined until the first list has arrived. */
  held(): readonly Pod[] | undefined {
    return this.#synced ? [...this.#pods.values()] : undefined;
  }

  /** @param onChange called after each change */
  start(onChange: () => void): void {
    this.#following = this.#follow(onChange);
  }

  /** Lists and watches anew, at once: the connection of the present watch may be dead without a word. */
  lookAgain(): void {
    this.#round.abort();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  async #follow(onChange: () => void): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#round = new AbortController();
      await this.#followUntil(AbortSignal.any([this.#stop.signal, this.#round.signal]), onChange);
    }
  }

  async #followUntil(signal: AbortSignal, onChange: () => void): Promise<void> {
    const follow = listWatch(this.#client, pods, {
      fieldSelector: `spec.nodeName=${this.#nodeName}`,
      signal,
      onError: (error, delayMs) =>
        this.#onError(`pods of the apiserver: ${error.message}; trying again in ${Math.ceil(delayMs / 1000)} s`),
    });
    for await (const event of follow) {
      if (event.type === 'SYNC') {
        this.#pods.clear();
        for (const pod of event.items) this.#pods.set(keyOf(pod), pod);
        this.#synced = true;
      } else if (event.type === 'DELETED') this.#pods.delete(keyOf(event.object));
      else this.#pods.set(keyOf(event.object), event.object);
      onChange();
    }
  }
}

function keyOf({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}
