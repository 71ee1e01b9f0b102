import { toError } from '../common/errors.ts';
import { type Namespace, namespaces } from '../kubeapi/index.ts';
import { ApiError } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
import { ObjectCache, pause } from './object-cache.ts';
import { addressOf, type Registry } from './registry.ts';
import type { ControllerOptions } from './scheduler.ts';

/** How often the content of a namespace that goes is looked at, in ms: pods take their grace. */
const LOOK_MS = 500;

/** Deletes what is in a namespace that is being deleted, and lets it go when nothing is left. */
export class NamespaceCleaner {
  readonly #registry: Registry;
  readonly #options: ControllerOptions;
  readonly #namespaces: ObjectCache<Namespace>;
  /** Namespaces that are being emptied. */
  readonly #busy = new Map<string, Promise<void>>();

  constructor(registry: Registry, options: ControllerOptions) {
    this.#registry = registry;
    this.#options = options;
    this.#namespaces = new ObjectCache(registry, namespaces, { ...options, onChange: (key) => this.#changed(key) });
  }

  async done(): Promise<void> {
    await this.#namespaces.done;
    await Promise.all(this.#busy.values());
  }

  #changed(key: string): void {
    const namespace = this.#namespaces.get(key);
    if (!namespace?.metadata.deletionTimestamp || this.#busy.has(key)) return;
    const { name } = namespace.metadata;
    this.#busy.set(
      key,
      this.#empty(name).finally(() => this.#busy.delete(key)),
    );
  }

  /** Never rejects. */
  async #empty(name: string): Promise<void> {
    const { signal, onProblem } = this.#options;
    while (!signal.aborted) {
      try {
        if (await this.#deleteContent(name)) {
          await this.#letGo(name);
          return;
        }
      } catch (thrown) {
        if (thrown instanceof ApiError && thrown.code === 'ERR_NOT_FOUND') return;
        if (!signal.aborted) onProblem(toError(thrown));
      }
      await pause(LOOK_MS, signal);
    }
  }

  /** @returns true when nothing is left */
  async #deleteContent(namespace: string): Promise<boolean> {
    let left = 0;
    // Events last: what goes may still leave some.
    const kinds = this.#registry.resources.filter(({ namespaced }) => namespaced);
    for (const resource of kinds.sort((one, other) => (one.ttlMs ?? 0) - (other.ttlMs ?? 0))) {
      const { items } = await this.#registry.list(resource, { namespace });
      for (const item of items) {
        const isGone = await this.#delete(resource, item);
        if (!isGone) left += 1;
      }
    }
    return left === 0;
  }

  async #delete(resource: Parameters<Registry['delete']>[0], item: ApiObject): Promise<boolean> {
    // What is being deleted already goes at its own pace.
    if (item.metadata.deletionTimestamp) return false;
    try {
      return (await this.#registry.delete(resource, addressOf(item))).isGone;
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.code === 'ERR_NOT_FOUND') return true;
      throw thrown;
    }
  }

  async #letGo(name: string): Promise<void> {
    const withoutFinalizer = (namespace: ApiObject): ApiObject => ({ ...namespace, spec: { finalizers: [] } });
    await this.#registry.update(namespaces, { namespace: '', name }, withoutFinalizer, { scope: 'finalize' });
  }
}
