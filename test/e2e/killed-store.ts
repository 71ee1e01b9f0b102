import { PodwireHop } from '../support/podwire.ts';
import { seededRandom } from '../support/seed.ts';

/** Writers of one round, each with an object of its own. */
const WRITERS = 6;

/** Confirmed writes after which the apiserver is killed, at most. */
const MAX_WRITES = 60;

/** How long a start may take: long, for what is asked here is what stands there then, and machines may be busy. */
const START_DEADLINE_MS = 300_000;

interface Lease {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly spec?: { readonly holderIdentity?: string };
}

/** What an object may be when the apiserver is back: what was confirmed, or what was on its way. */
interface Expected {
  confirmed: string | undefined;
  underWay: string | undefined;
}

/** What the rounds of one store have in common. */
export class KilledStore {
  readonly #flags: readonly string[];
  readonly #objects = new Map<string, Expected>();
  /** Revisions of confirmed writes that the watch has not shown yet. */
  readonly #unseen = new Set<number>();
  #confirmed = 0;
  #watched = 0;
  #made = 0;

  /** @param flags where the objects are, and a `--cert-dir` */
  constructor(flags: readonly string[]) {
    this.#flags = flags;
  }

  /**
   * Starts the apiserver, looks that everything confirmed before is there and that a watch goes on where it was, then
   * writes and kills it.
   *
   * @returns what was untrue
   */
  async play(seed: number): Promise<string[]> {
    const random = seededRandom(seed);
    const flags = ['--secure-port', '0', '--insecure-port', '0', '--anonymous-auth'];
    const more = ['--authorization-mode', 'AlwaysAllow', ...this.#flags];
    const hop = await PodwireHop.start('apiserver', [...flags, ...more], START_DEADLINE_MS);
    try {
      const [, server = ''] = /insecure (http:\S+)/.exec(hop.log) ?? [];
      const leases = `${server}/apis/coordination.k8s.io/v1/namespaces/default/leases`;
      const problems = await this.#check(leases);
      let left = random.between(1, MAX_WRITES);
      const killed = new AbortController();
      const onConfirmed = (): void => {
        left -= 1;
        if (left > 0) return;
        killed.abort();
        hop.signal('SIGKILL');
      };
      const writers = Array.from({ length: WRITERS }, async (_, at) => {
        while (!killed.signal.aborted) await this.#write(leases, `lease-${at}`, random.between(0, 9), onConfirmed);
      });
      await Promise.all(writers);
      await hop.exited;
      return problems.map((problem) => `seed ${seed}: ${problem}`);
    } finally {
      await hop.kill();
    }
  }

  async #write(leases: string, name: string, die: number, onConfirmed: () => void): Promise<void> {
    const expected = this.#objects.get(name) ?? { confirmed: undefined, underWay: undefined };
    this.#objects.set(name, expected);
    const isThere = expected.confirmed !== undefined;
    const value = isThere && die === 0 ? undefined : `value-${(this.#made += 1)}`;
    expected.underWay = value;
    const url = isThere ? `${leases}/${name}` : leases;
    const method = value === undefined ? 'DELETE' : isThere ? 'PUT' : 'POST';
    const object = { metadata: { name }, spec: { holderIdentity: value } };
    const init =
      value === undefined ? {} : { body: JSON.stringify(object), headers: { 'Content-Type': 'application/json' } };
    try {
      const answer = await fetch(url, { method, ...init });
      const body = (await answer.json()) as Lease;
      if (!answer.ok) throw new TypeError(`${method} ${answer.status} ${JSON.stringify(body)}`);
      expected.confirmed = value;
      if (value !== undefined) {
        const revision = Number(body.metadata.resourceVersion);
        this.#confirmed = Math.max(this.#confirmed, revision);
        this.#unseen.add(revision);
      }
      onConfirmed();
    } catch (thrown) {
      // The connection broke: nobody knows what became of it. An answer of another kind is a fault.
      if (thrown instanceof TypeError && /^(?:POST|PUT|DELETE) /.test(thrown.message)) throw thrown;
    }
  }

  async #check(leases: string): Promise<string[]> {
    const problems: string[] = [];
    const list = (await (await fetch(leases)).json()) as { metadata: { resourceVersion: string }; items: Lease[] };
    const revision = Number(list.metadata.resourceVersion);
    if (revision < this.#confirmed) problems.push(`revision ${revision} after ${this.#confirmed}`);
    const found = new Map(list.items.map(({ metadata, spec }) => [metadata.name, spec?.holderIdentity]));
    for (const [name, expected] of this.#objects) {
      const value = found.get(name);
      if (value !== expected.confirmed && value !== expected.underWay) {
        problems.push(`${name} is ${value}, was ${expected.confirmed} and perhaps ${expected.underWay}`);
      }
      expected.confirmed = value;
      expected.underWay = value;
    }
    if (this.#watched > 0) problems.push(...(await this.#watchUntilConfirmed(leases)));
    this.#watched = revision;
    this.#unseen.clear();
    return problems;
  }

  /** Goes on from the revision that the last look ended at, in the process before. */
  async #watchUntilConfirmed(leases: string): Promise<string[]> {
    const problems: string[] = [];
    if (this.#unseen.size === 0) return problems;
    const stop = new AbortController();
    const answer = await fetch(`${leases}?watch=true&resourceVersion=${this.#watched}`, { signal: stop.signal });
    let seen = this.#watched;
    for await (const { type, object } of lines(answer)) {
      const revision = Number(object.metadata?.resourceVersion);
      if (type === 'ERROR') return [`the watch ended: ${JSON.stringify(object)}`];
      if (revision <= seen) problems.push(`the watch showed ${revision} after ${seen}`);
      seen = revision;
      this.#unseen.delete(revision);
      if (seen >= this.#confirmed) break;
    }
    stop.abort();
    for (const revision of this.#unseen) problems.push(`the watch missed ${revision}`);
    return problems;
  }
}

async function* lines(answer: Response): AsyncGenerator<{ type: string; object: Partial<Lease> }> {
  let rest = '';
  for await (const text of (answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) yield JSON.parse(part) as { type: string; object: Partial<Lease> };
  }
}
