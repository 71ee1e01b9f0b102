/** A set of keys in the order of their code units, so that what lies under a prefix is one slice. */
export class SortedKeys {
  readonly #keys: string[] = [];

  /** Adding a key that is there changes nothing. */
  add(key: string): void {
    const at = this.#firstNotBelow(key);
    if (this.#keys[at] !== key) this.#keys.splice(at, 0, key);
  }

  delete(key: string): void {
    const at = this.#firstNotBelow(key);
    if (this.#keys[at] === key) this.#keys.splice(at, 1);
  }

  /** The keys that start with `prefix` and come after the key `after`, in order. */
  under(prefix: string, after?: string): string[] {
    const first = this.#firstNotBelow(prefix);
    const start = after === undefined || after < prefix ? first : this.#firstNotBelow(`${after}\0`);
    const found: string[] = [];
    for (let at = start; at < this.#keys.length; at += 1) {
      const key = this.#keys[at];
      if (key === undefined || !key.startsWith(prefix)) break;
      found.push(key);
    }
    return found;
  }

  #firstNotBelow(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? '') < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
