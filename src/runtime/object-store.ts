import { randomBytes } from 'node:crypto';
import { grpcCodes, RuntimeCallError } from '../cri/index.ts';

/** What a store holds: an id of its own, and a name that no other may have while it lives. */
export interface Stored {
  /** 64 hex digits */
  readonly id: string;
  /** Made from the metadata. */
  readonly name: string;
}

export function newId(): string {
  return randomBytes(32).toString('hex');
}

/**
 * The sandboxes or containers of a runtime, in memory: they are processes and do not outlive it.
 *
 * @see cri.md 4.1
 */
export class ObjectStore<Item extends Stored> {
  readonly #kind: 'sandbox' | 'container';
  readonly #items = new Map<string, Item>();
  readonly #idsByName = new Map<string, string>();

  constructor(kind: 'sandbox' | 'container') {
    this.#kind = kind;
  }

  /** @throws RuntimeCallError Unknown when the name is taken, as containerd */
  add(item: Item): void {
    this.assertFree(item.name);
    this.#items.set(item.id, item);
    this.#idsByName.set(item.name, item.id);
  }

  /** @throws as {@link add} */
  assertFree(wanted: string): void {
    const holder = this.#idsByName.get(wanted);
    if (holder !== undefined) {
      const name = JSON.stringify(wanted);
      throw new RuntimeCallError(
        grpcCodes.Unknown,
        `failed to reserve ${this.#kind} name ${name}: name ${name} is reserved for ${JSON.stringify(holder)}`,
      );
    }
  }

  delete(item: Item): void {
    this.#items.delete(item.id);
    if (this.#idsByName.get(item.name) === item.id) this.#idsByName.delete(item.name);
  }

  /** @param id whole, or the beginning of exactly one */
  find(id: string): Item | undefined {
    const exact = this.#items.get(id);
    if (exact !== undefined || id === '') return exact;
    const matches = [...this.#items.values()].filter((item) => item.id.startsWith(id));
    return matches.length === 1 ? matches[0] : undefined;
  }

  /** @throws RuntimeCallError NotFound */
  get(id: string): Item {
    const item = this.find(id);
    if (item === undefined) {
      throw new RuntimeCallError(
        grpcCodes.NotFound,
        `an error occurred when try to find ${this.#kind} ${JSON.stringify(id)}: not found`,
      );
    }
    return item;
  }

  values(): Item[] {
    return [...this.#items.values()];
  }
}

/** Whether `labels` has every pair of `selector`. */
export function matchesLabels(labels: Record<string, string>, selector: Record<string, string> | undefined): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value);
}
