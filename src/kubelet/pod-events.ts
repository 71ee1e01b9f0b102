import { toError } from '../common/errors.ts';
import { type Event, eventName, events, type KubeClient, type Pod } from '../kubeapi/index.ts';
import { fieldPathOf } from './pod-containers.ts';
import { timestamp } from './pod-status.ts';

/** What the kubelet has done with a pod, or what has failed. */
export interface Happening {
  readonly type: 'Normal' | 'Warning';
  /** One word in camel case, as upstream's kubelet has it. */
  readonly reason: string;
  readonly message: string;
  /** The container that it concerns. */
  readonly container?: string;
}

/** The pod that something happened to; its spec, when that is known, says of what kind a container is. */
export type EventPod = Pick<Pod, 'metadata'> & Partial<Pick<Pod, 'spec'>>;

export interface PodEventsOptions {
  readonly nodeName: string;
  readonly signal: AbortSignal;
  readonly onError: (message: string) => void;
}

/** Events that wait to be written; more are left out, for they are only words. */
const MAX_WAITING = 100;

/** Events that are counted up instead of written anew. */
const MAX_KNOWN = 500;

/** A repeated event is counted at most so often, in ms: a crash loop looks each second. */
const REPEAT_MS = 10_000;

interface Known {
  readonly name: string;
  count: number;
  writtenAt: number;
}

/** Writes what happens to pods as events to the apiserver, one after the other, so that their order is kept. */
export class PodEvents {
  readonly #client: KubeClient;
  readonly #options: PodEventsOptions;
  readonly #known = new Map<string, Known>();
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(client: KubeClient, options: PodEventsOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Returns at once. */
  record(pod: EventPod, happening: Happening): void {
    if (this.#waiting >= MAX_WAITING || this.#options.signal.aborted) return;
    this.#waiting += 1;
    this.#last = this.#last
      .then(() => this.#write(pod, happening))
      .catch((thrown: unknown) => {
        // The apiserver may be away: the event is lost, the pod goes on.
        if (!this.#options.signal.aborted) this.#options.onError(`event: ${toError(thrown).message}`);
      })
      .finally(() => {
        this.#waiting -= 1;
      });
  }

  async #write({ metadata, spec }: EventPod, { container, ...happening }: Happening): Promise<void> {
    const { name, namespace = 'default', uid = '' } = metadata;
    const { signal, nodeName } = this.#options;
    const key = [uid, container ?? '', happening.reason, happening.message].join('\n');
    const now = timestamp(new Date());
    const known = this.#known.get(key);
    if (known !== undefined) {
      known.count += 1;
      if (Date.now() - known.writtenAt < REPEAT_MS) return;
      known.writtenAt = Date.now();
      const patch = { count: known.count, lastTimestamp: now };
      await this.#client.patch(events, known.name, patch, { namespace, signal });
      return;
    }
    const fieldPath = container === undefined ? {} : { fieldPath: fieldPathOf(spec, container) };
    const event: Event = {
      metadata: { name: eventName(name), namespace },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid, ...fieldPath },
      ...happening,
      source: { component: 'kubelet', host: nodeName },
      reportingComponent: 'kubelet',
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
    await this.#client.create(events, event, { namespace, signal });
    this.#known.set(key, { name: event.metadata.name, count: 1, writtenAt: Date.now() });
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
  }
}
