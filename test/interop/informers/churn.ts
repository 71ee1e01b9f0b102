import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import { deferred } from '../../../src/common/deferred.ts';
import { Etcd } from '../../support/etcd.ts';
import { freePort } from '../../support/free-port.ts';
import { PodwireHop } from '../../support/podwire.ts';
import { type SeededRandom, seededRandom } from '../../support/seed.ts';
import { type ConfirmedWrite, FollowerRecord, type SeenPod } from './follower-record.ts';
import { type Follower, type FollowerOptions, seenPod } from './followers.ts';

export const NAMESPACE = 'default';

/** Writers, each with pods of its own. */
const WRITERS = 6;

/** Pods of one writer. */
const PODS = 8;

/**
 * Between two writes of a writer, in ms, at most. A client may stay away for half a minute when its apiserver was gone
 * several times, and what happens meanwhile has to fit into the 10,000 changes of the embedded store's history.
 */
const MAX_PAUSE_MS = 40;

/** How long a start may take: long, for machines may be busy. */
const START_DEADLINE_MS = 300_000;

export interface ChurnOptions {
  readonly seed: number;
  /** With etcd half of the writers write through a second apiserver, which is never killed. */
  readonly backend: 'embedded' | 'etcd';
  /** By name. */
  readonly followers: Readonly<Record<string, (options: FollowerOptions) => Follower>>;
}

/**
 * Pods that are made, changed and deleted while the apiserver is killed and started again, and clients that follow them.
 *
 * Owns: the apiservers, etcd, the followers.
 */
export class Churn implements AsyncDisposable {
  readonly records: readonly FollowerRecord[];
  kills = 0;
  readonly #folder: string;
  readonly #etcd: Etcd | undefined;
  readonly #random: SeededRandom;
  readonly #ports: readonly number[];
  readonly #hops = new Map<number, PodwireHop>();
  readonly #followers: Follower[] = [];
  readonly #confirmed: ConfirmedWrite[] = [];
  /** Settles when the first apiserver serves; a new one while it does not. */
  #isUp = deferred<undefined>();
  #isOver = false;
  #onConfirmed = (): void => {};
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, ports: readonly number[], etcd: Etcd | undefined, options: ChurnOptions) {
    this.#folder = folder;
    this.#ports = ports;
    this.#etcd = etcd;
    this.#random = seededRandom(options.seed);
    this.records = Object.keys(options.followers).map((name) => new FollowerRecord(name));
  }

  static async start(options: ChurnOptions): Promise<Churn> {
    const folder = await mkdtemp(join(tmpdir(), 'podwire-churn-'));
    const etcd = options.backend === 'etcd' ? await Etcd.start() : undefined;
    const ports = [await freePort(), ...(etcd === undefined ? [] : [await freePort()])];
    const churn = new Churn(folder, ports, etcd, options);
    try {
      for (const port of ports) await churn.#startApiserver(port);
      await churn.#follow(Object.values(options.followers));
      const random = seededRandom(options.seed);
      const writers = Array.from({ length: WRITERS }, (_, at) =>
        churn.#write(`pod-${at}`, ports[at % ports.length] ?? 0, seededRandom(random.between(0, 2 ** 32 - 1))),
      );
      churn.#writing = Promise.all(writers);
      // Whoever waits for a round or the end hears of it.
      churn.#writing.catch(() => {});
      return churn;
    } catch (error) {
      await churn[Symbol.asyncDispose]();
      throw error;
    }
  }

  get confirmed(): number {
    return this.#confirmed.length;
  }

  /** So many writes, then the end of the apiserver, three times of four by `kill -9`, and a new one on its port. */
  async round(writes: number): Promise<void> {
    await this.#until(writes);
    await this.#endApiserver(this.#random.between(0, 3) === 0 ? 'SIGTERM' : 'SIGKILL');
    await this.#startApiserver(this.#ports[0] ?? 0);
  }

  /** While the apiserver is away, `writes` more are done through the other one, and etcd forgets what was before them. */
  async forget(writes: number): Promise<void> {
    await this.#endApiserver('SIGKILL');
    await this.#until(writes);
    await this.#etcd?.compact(this.#newest());
    await this.#startApiserver(this.#ports[0] ?? 0);
  }

  /** Settles when each follower has seen what is confirmed by now: so it watches again. */
  async caughtUp(): Promise<void> {
    const version = this.#newest();
    await Promise.race([Promise.all(this.records.map((record) => record.reached(version))), this.#writing]);
  }

  /** An hour confirms more writes than a call takes arguments. */
  #newest(): number {
    return this.#confirmed.reduce((newest, { version }) => Math.max(newest, version), 0);
  }

  /** Ends the writes, and waits until each follower has seen the last one. @returns what is untrue */
  async finish(): Promise<string[]> {
    this.#isOver = true;
    await this.#writing;
    const pods = `http://127.0.0.1:${this.#ports[0]}/api/v1/namespaces/${NAMESPACE}/pods`;
    const last = await call<V1Pod>('POST', pods, podNamed('last'));
    this.#confirmed.push({ type: 'put', ...seenPod(last) });
    await Promise.all(this.records.map((record) => record.reached(seenPod(last).version)));
    const { items } = await call<{ items: V1Pod[] }>('GET', pods);
    const now = items.map(seenPod);
    const problems: string[] = [];
    for (const [at, record] of this.records.entries()) {
      const held: readonly SeenPod[] = (await this.#followers[at]?.end()) ?? [];
      problems.push(...record.check(this.#confirmed, now, held));
    }
    return problems;
  }

  /** One line a follower. */
  report(): string {
    const lines = this.records.map(
      (record) =>
        `${record.name}: ${record.events} events, ${record.lists} lists that stand for ` +
        `${record.bridged(this.#confirmed)} writes, ${record.lost} ends that no event told`,
    );
    return [`${this.kills} ends of the apiserver, ${this.confirmed} confirmed writes`, ...lines].join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#isUp.resolve(undefined);
    await Promise.all(this.#followers.map((follower) => follower.end().catch(() => [])));
    await Promise.all([...this.#hops.values()].map((hop) => hop.kill()));
    await this.#writing.catch(() => {});
    await this.#etcd?.[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }

  /** Starts followers, and waits until each knows what is there. */
  async #follow(followers: readonly ((options: FollowerOptions) => Follower)[]): Promise<void> {
    const server = `http://127.0.0.1:${this.#ports[0]}`;
    for (const [at, record] of this.records.entries()) {
      const follower = followers[at]?.({ server, namespace: NAMESPACE, tell: (told) => record.tell(told) });
      if (follower !== undefined) this.#followers.push(follower);
    }
    await Promise.all(this.records.map((record) => record.reached(1)));
  }

  async #until(writes: number): Promise<void> {
    let left = writes;
    const enough = deferred<undefined>();
    this.#onConfirmed = () => {
      left -= 1;
      if (left <= 0) enough.resolve(undefined);
    };
    await Promise.race([enough.promise, this.#writing]);
  }

  async #endApiserver(signal: NodeJS.Signals): Promise<void> {
    const hop = this.#hops.get(this.#ports[0] ?? 0);
    this.#isUp = deferred();
    this.kills += 1;
    hop?.signal(signal);
    await hop?.exited;
  }

  async #startApiserver(port: number): Promise<void> {
    const place = this.#etcd === undefined ? [] : ['--etcd-servers', this.#etcd.servers.join(',')];
    const flags = [
      '--secure-port',
      '0',
      '--insecure-port',
      String(port),
      '--cert-dir',
      join(this.#folder, String(port)),
    ];
    const access = ['--anonymous-auth', '--authorization-mode', 'AlwaysAllow', '--controllers', 'namespace'];
    // So that watches end by themselves too.
    const limits = ['--min-request-timeout', '20s'];
    const hop = await PodwireHop.start('apiserver', [...flags, ...access, ...limits, ...place], START_DEADLINE_MS);
    this.#hops.set(port, hop);
    if (port === this.#ports[0]) this.#isUp.resolve(undefined);
  }

  async #write(prefix: string, port: number, random: SeededRandom): Promise<void> {
    const pods = `http://127.0.0.1:${port}/api/v1/namespaces/${NAMESPACE}/pods`;
    /** Undefined: a write was under way when the apiserver ended. */
    const isThere = new Map<string, boolean | undefined>();
    while (!this.#isOver) {
      const name = `${prefix}-${random.between(0, PODS - 1)}`;
      const die = random.between(0, 9);
      await delay(random.between(0, MAX_PAUSE_MS));
      if (port === this.#ports[0]) await this.#isUp.promise;
      if (this.#isOver) return;
      try {
        if (!isThere.has(name) || isThere.get(name) === undefined) isThere.set(name, await exists(`${pods}/${name}`));
        const wasThere = isThere.get(name) === true;
        isThere.set(name, undefined);
        const write = wasThere ? await change(`${pods}/${name}`, die) : await create(pods, name);
        isThere.set(name, write.type === 'put');
        this.#confirmed.push(write);
        this.#onConfirmed();
      } catch (thrown) {
        // The connection broke. An answer of another kind is a fault.
        if (thrown instanceof AnswerError) throw thrown;
      }
    }
  }
}

const podNamed = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'main', image: 'image' }] },
});

async function create(pods: string, name: string): Promise<ConfirmedWrite> {
  return { type: 'put', ...seenPod(await call<V1Pod>('POST', pods, podNamed(name))) };
}

/** A deletion two times of ten, otherwise a change of labels or of the status. */
async function change(pod: string, die: number): Promise<ConfirmedWrite> {
  if (die < 2) return { type: 'deleted', ...seenPod(await call<V1Pod>('DELETE', pod, { gracePeriodSeconds: 0 })) };
  const stamp = Math.random().toString(36);
  const written =
    die < 5
      ? await call<V1Pod>('PATCH', pod, { metadata: { labels: { stamp } } })
      : await call<V1Pod>('PATCH', `${pod}/status`, { status: { phase: 'Running', message: stamp } });
  return { type: 'put', ...seenPod(written) };
}

async function exists(pod: string): Promise<boolean> {
  const answer = await fetch(pod);
  const text = await answer.text();
  if (answer.status === 200 || answer.status === 404) return answer.status === 200;
  throw refusal(`GET ${pod}: ${answer.status} ${text}`);
}

class AnswerError extends Error {}

/** One that is told to stop says so to those who come on connections that they have. */
function refusal(answer: string): Error {
  return answer.includes('the server is stopping') ? new Error(answer) : new AnswerError(answer);
}

async function call<T>(method: string, url: string, body?: object): Promise<T> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': type } };
  const answer = await fetch(url, { method, ...init });
  const text = await answer.text();
  if (!answer.ok) throw refusal(`${method} ${url}: ${answer.status} ${text}`);
  return JSON.parse(text) as T;
}
