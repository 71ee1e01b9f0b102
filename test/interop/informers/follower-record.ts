/** One pod as a client saw it; `version` is its resourceVersion. */
export interface SeenPod {
  readonly name: string;
  readonly uid: string;
  readonly version: number;
}

/**
 * What a follower is told: by lists and watches (`replaced`, `put`, `deleted`), and what its handlers make of it (`added`,
 * `updated`, `removed`, and `lost` for a pod whose end no event told, only a list without it).
 */
export type Told =
  | { readonly type: 'replaced'; readonly version: number; readonly objects: readonly SeenPod[] }
  | {
      readonly type: 'put' | 'deleted' | 'added' | 'updated' | 'removed' | 'lost';
      readonly object: SeenPod;
    };

/** A write that the apiserver confirmed. */
export interface ConfirmedWrite extends SeenPod {
  readonly type: 'put' | 'deleted';
}

/**
 * Holds what a follower was told against the rules.
 *
 * Between two lists the versions of events rise, so none is repeated, and each confirmed write above the list's version
 * and up to the last event is one of them, so none is missed. A list stands for what lies between the event before it and
 * its own version: clients get one at their start, when their place is forgotten (410), and whenever they prefer to.
 * Handlers then hear of each pod that is gone once, as `lost`.
 */
export class FollowerRecord {
  readonly name: string;
  readonly problems: string[] = [];
  lists = 0;
  events = 0;
  lost = 0;
  /** The version of the newest event or list. */
  #last = 0;
  readonly #seen = new Set<number>();
  /** What lists stand for: versions above `after`, up to `upTo`. */
  readonly #bridges: { readonly after: number; readonly upTo: number }[] = [];
  readonly #streamed = new Map<string, SeenPod>();
  readonly #handled = new Map<string, SeenPod>();
  readonly #waiting = new Map<() => void, number>();

  constructor(name: string) {
    this.name = name;
  }

  tell(told: Told): void {
    if (told.type === 'replaced') this.#replace(told.version, told.objects);
    else if (told.type === 'put' || told.type === 'deleted') this.#stream(told.type, told.object);
    else this.#handle(told.type, told.object);
    for (const [wake, version] of this.#waiting) if (this.#last >= version) wake();
  }

  /** Settles when the follower has come to `version`. */
  async reached(version: number): Promise<void> {
    if (this.#last >= version) return;
    await new Promise<void>((resolve) => this.#waiting.set(resolve, version));
  }

  /** How many of `confirmed` no event told, for a list stands for them. */
  bridged(confirmed: readonly ConfirmedWrite[]): number {
    return confirmed.filter(({ version }) => !this.#seen.has(version)).length;
  }

  /** What is untrue, now that the pods are `now`, of which the follower holds `held`. */
  check(confirmed: readonly ConfirmedWrite[], now: readonly SeenPod[], held: readonly SeenPod[]): string[] {
    const missed = confirmed.filter(
      ({ version }) =>
        !this.#seen.has(version) && !this.#bridges.some(({ after, upTo }) => after < version && version <= upTo),
    );
    const wanted = textOf(now);
    return [
      ...this.problems,
      ...missed.map(({ type, name, version }) => `missed: ${type} ${name} ${version}`),
      ...(textOf([...this.#streamed.values()]) === wanted ? [] : ['what was streamed is not what is there']),
      ...(textOf([...this.#handled.values()]) === wanted ? [] : ['what was handled is not what is there']),
      ...(textOf(held) === wanted ? [] : ['what is held is not what is there']),
    ].map((problem) => `${this.name}: ${problem}`);
  }

  #replace(version: number, objects: readonly SeenPod[]): void {
    this.lists += 1;
    if (version < this.#last) this.problems.push(`a list of ${version} after ${this.#last}`);
    this.#bridges.push({ after: this.#last, upTo: version });
    this.#last = version;
    this.#streamed.clear();
    for (const object of objects) this.#streamed.set(object.name, object);
  }

  #stream(type: 'put' | 'deleted', object: SeenPod): void {
    const { name, uid, version } = object;
    this.events += 1;
    if (version <= this.#last) this.problems.push(`${type} ${name} ${version} after ${this.#last}`);
    const known = this.#streamed.get(name);
    if (known !== undefined && known.uid !== uid) this.problems.push(`${type} ${name} ${version}: its end was missed`);
    if (known === undefined && type === 'deleted') this.problems.push(`deleted ${name} ${version}: it was not there`);
    this.#last = version;
    this.#seen.add(version);
    if (type === 'put') this.#streamed.set(name, object);
    else this.#streamed.delete(name);
  }

  #handle(type: 'added' | 'updated' | 'removed' | 'lost', object: SeenPod): void {
    const { name, uid, version } = object;
    const known = this.#handled.get(name);
    const bad = (why: string): void => void this.problems.push(`${type} ${name} ${version}: ${why}`);
    if (type === 'added' && known !== undefined) bad(`it was there as ${known.version}`);
    if (type !== 'added' && known === undefined) bad('it was not there');
    if (type === 'updated' && known !== undefined && version <= known.version) bad(`it was ${known.version}`);
    // Of a pod that was made again under its name while nobody told, a list shows the new one alone.
    if (known !== undefined && known.uid !== uid && !this.#isBridged(known, version)) bad('its end was missed');
    const isLost = type === 'lost' || (type === 'removed' && known?.version === version);
    if (isLost) this.lost += 1;
    if (isLost && known !== undefined && !this.#isBridged(known)) bad('no list came since');
    if (type === 'added' || type === 'updated') this.#handled.set(name, object);
    else this.#handled.delete(name);
  }

  /** Whether a list came since `known`, and showed `version` at the earliest. */
  #isBridged(known: SeenPod, version = known.version): boolean {
    return this.#bridges.some(({ upTo }) => known.version <= upTo && version <= upTo);
  }
}

function textOf(pods: readonly SeenPod[]): string {
  return pods
    .map(({ name, uid, version }) => `${name} ${uid} ${version}`)
    .sort()
    .join('\n');
}
