import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { CoreV1Api, KubeConfig, ListWatch, type V1Pod, Watch } from '@kubernetes/client-node';
import { type ChildResult, runChild } from '../../support/child.ts';
import { kubeconfigFile } from '../../support/kubeconfig-file.ts';
import type { SeenPod, Told } from './follower-record.ts';

/** A client that follows the pods of one namespace through whatever happens to its apiserver. */
export interface Follower {
  /** Ends it. @returns what it held */
  end(): Promise<readonly SeenPod[]>;
}

export interface FollowerOptions {
  /** `http://HOST:PORT` */
  readonly server: string;
  readonly namespace: string;
  readonly tell: (told: Told) => void;
}

interface GoPod extends Omit<SeenPod, 'version'> {
  readonly version: string;
}

interface GoLine {
  readonly type: Told['type'] | 'held';
  readonly version?: string;
  readonly object?: GoPod;
  readonly objects?: readonly GoPod[];
}

/** A day: the test that has it is over before. */
const DEADLINE_MS = 86_400_000;

/** client-go's Reflector with an informer's queue behind it: the Go program of this folder. Owns: its process. */
export class GoReflector implements Follower {
  readonly #stdin = new PassThrough();
  readonly #done: Promise<ChildResult>;
  #held: readonly SeenPod[] | undefined;

  /** @param peer path of the program @param watchList whether it begins with a watch-list or with a list */
  constructor(peer: string, watchList: boolean, { server, namespace, tell }: FollowerOptions) {
    let rest = '';
    const onStdout = (chunk: Buffer): void => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#read(JSON.parse(line) as GoLine, tell);
    };
    this.#done = runChild(peer, [server, namespace], {
      stdin: this.#stdin,
      env: { ...process.env, KUBE_FEATURE_WatchListClient: String(watchList) },
      deadlineMs: DEADLINE_MS,
      onStdout,
    });
  }

  async end(): Promise<readonly SeenPod[]> {
    this.#stdin.end();
    const { exitCode, stderr } = await this.#done;
    if (exitCode !== 0 || this.#held === undefined) throw new Error(`the reflector ended: ${stderr.toString()}`);
    return this.#held;
  }

  #read({ type, version, object, objects = [] }: GoLine, tell: (told: Told) => void): void {
    if (type === 'held') this.#held = objects.map(fromGo);
    else if (type === 'replaced') tell({ type, version: Number(version), objects: objects.map(fromGo) });
    else if (object !== undefined) tell({ type, object: fromGo(object) });
  }
}

function fromGo({ name, uid, version }: GoPod): SeenPod {
  return { name, uid, version: Number(version) };
}

/** How long the user of an informer waits before it is started again, in ms: it does not do so itself. */
const RESTART_MS = 200;

/** The informer of `@kubernetes/client-node`, started again after each error, as its documentation says. */
export class ClientNodeInformer implements Follower {
  readonly #informer: ListWatch<V1Pod>;
  readonly #stop = new AbortController();

  constructor({ server, namespace, tell }: FollowerOptions) {
    const config = new KubeConfig();
    config.loadFromString(kubeconfigFile(server));
    const api = config.makeApiClient(CoreV1Api);
    const list = async (): ReturnType<CoreV1Api['listNamespacedPod']> => {
      const found = await api.listNamespacedPod({ namespace });
      const version = Number(found.metadata?.resourceVersion);
      tell({ type: 'replaced', version, objects: found.items.map(seenPod) });
      return found;
    };
    const watch = new ToldWatch(config, tell);
    this.#informer = new ListWatch<V1Pod>(`/api/v1/namespaces/${namespace}/pods`, watch, list, false);
    this.#informer.on('add', (pod) => tell({ type: 'added', object: seenPod(pod) }));
    this.#informer.on('update', (pod) => tell({ type: 'updated', object: seenPod(pod) }));
    this.#informer.on('delete', (pod) => tell({ type: 'removed', object: seenPod(pod) }));
    this.#informer.on('error', () => void this.#startAgain());
    void this.#informer.start();
  }

  async end(): Promise<readonly SeenPod[]> {
    this.#stop.abort();
    await this.#informer.stop();
    return this.#informer.list().map(seenPod);
  }

  async #startAgain(): Promise<void> {
    await delay(RESTART_MS, undefined, { signal: this.#stop.signal }).catch(() => {});
    if (!this.#stop.signal.aborted) await this.#informer.start();
  }
}

/** Tells each event before the informer makes something of it. */
class ToldWatch extends Watch {
  readonly #tell: (told: Told) => void;

  constructor(config: KubeConfig, tell: (told: Told) => void) {
    super(config);
    this.#tell = tell;
  }

  override watch(...[path, query, callback, done]: Parameters<Watch['watch']>): ReturnType<Watch['watch']> {
    const told: typeof callback = (phase, pod: V1Pod, event) => {
      if (phase === 'DELETED') this.#tell({ type: 'deleted', object: seenPod(pod) });
      else if (phase === 'ADDED' || phase === 'MODIFIED') this.#tell({ type: 'put', object: seenPod(pod) });
      callback(phase, pod, event);
    };
    return super.watch(path, query, told, done);
  }
}

export function seenPod({ metadata }: Pick<V1Pod, 'metadata'>): SeenPod {
  const { name = '', uid = '', resourceVersion } = metadata ?? {};
  return { name, uid, version: Number(resourceVersion) };
}
