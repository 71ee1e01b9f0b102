import { toError } from '../common/errors.ts';
import type { KubeObject, ResourceType } from '../kubeapi/index.ts';
import type { ApiObject } from './api-object.ts';
import type { Registry } from './registry.ts';

/** How long a watch that broke is left before it begins again, in ms. */
const RESTART_MS = 1_000;

export interface ObjectCacheOptions<T> {
  readonly signal: AbortSignal;
  /** Told of every change and what was there before, and once more, of `''`, when everything that is there has been seen. */
  readonly onChange: (key: string, before: (T & ApiObject) | undefined) => void;
  readonly onProblem: (problem: Error) => void;
}

/** All objects of a kind as they are now, kept by a watch that begins again when it breaks. */
export class ObjectCache<T extends KubeObject> {
  readonly #registry: Registry;
  readonly #type: ResourceType<T>;
  readonly #options: ObjectCacheOptions<T>;
  #objects = new Map<string, T & ApiObject>();
  #isSynced = false;
  /** Settles when the watch is over. */
  readonly done: Promise<void>;

  constructor(registry: Registry, type: ResourceType<T>, options: ObjectCacheOptions<T>) {
    this.#registry = registry;
    this.#type = type;
    this.#options = options;
    this.done = this.#run();
  }

  /** False until everything that was there has been seen. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  get(key: string): (T & ApiObject) | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T & ApiObject> {
    return this.#objects.values();
  }

  async #run(): Promise<void> {
    const { signal, onProblem } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#watch();
      } catch (thrown) {
        if (signal.aborted) return;
        onProblem(toError(thrown));
      }
      await pause(RESTART_MS, signal);
    }
  }

  async #watch(): Promise<void> {
    const { signal, onChange } = this.#options;
    // What is not seen again until the end of the initial events is gone.
    let fresh: Map<string, T & ApiObject> | undefined = new Map();
    for await (const event of this.#registry.watch(this.#type, {}, { sendInitialEvents: true, signal })) {
      if (event.type === 'BOOKMARK') {
        if (!event.endsInitialEvents || fresh === undefined) continue;
        const old = this.#objects;
        this.#objects = fresh;
        fresh = undefined;
        this.#isSynced = true;
        for (const [key, before] of old) if (!this.#objects.has(key)) onChange(key, before);
        for (const key of this.#objects.keys()) onChange(key, old.get(key));
        onChange('', undefined);
        continue;
      }
      const key = cacheKeyOf(event.object);
      const objects = fresh ?? this.#objects;
      const before = objects.get(key);
      if (event.type === 'DELETED') objects.delete(key);
      else objects.set(key, event.object as T & ApiObject);
      if (fresh === undefined) onChange(key, before);
    }
  }
}

/** `NAMESPACE/NAME`; an empty namespace for kinds that have none. */
export function cacheKeyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** Settles after so many ms, or when `signal` aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', settle);
      resolve();
    };
    const timer = setTimeout(settle, ms);
    timer.unref();
    signal.addEventListener('abort', settle);
    if (signal.aborted) settle();
  });
}
