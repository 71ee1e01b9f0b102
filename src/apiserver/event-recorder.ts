import { toError } from '../common/errors.ts';
import { eventName, events, type KubeObject } from '../kubeapi/index.ts';
import { ApiError } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
import { apiTime } from './object-rules.ts';
import type { Registry } from './registry.ts';

/** What happened to an object. */
export interface Happening {
  readonly type: 'Normal' | 'Warning';
  /** One word in camel case. */
  readonly reason: string;
  readonly message: string;
}

/** Events that are counted up instead of written anew; the oldest are forgotten. */
const MAX_KNOWN = 1_000;

/** Writes events as one component of the control plane; what repeats is counted. */
export class EventRecorder {
  readonly #registry: Registry;
  readonly #component: string;
  readonly #onProblem: (problem: Error) => void;
  /** Names of events by what they say. */
  readonly #known = new Map<string, string>();

  constructor(registry: Registry, component: string, onProblem: (problem: Error) => void) {
    this.#registry = registry;
    this.#component = component;
    this.#onProblem = onProblem;
  }

  /** Never rejects: an event that cannot be written is no reason to stop. */
  async record(kind: string, object: KubeObject, happening: Happening): Promise<void> {
    const { name, namespace = 'default', uid = '' } = object.metadata;
    const key = [kind, uid, happening.reason, happening.message].join('\n');
    try {
      const known = this.#known.get(key);
      if (known !== undefined && (await this.#countUp(namespace, known))) return;
      const event = eventName(name);
      const now = apiTime(new Date());
      await this.#registry.create(events, {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: event, namespace },
        involvedObject: { apiVersion: 'v1', kind, name, namespace: object.metadata.namespace, uid },
        ...happening,
        source: { component: this.#component },
        reportingComponent: this.#component,
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
      });
      this.#known.set(key, event);
      const [oldest] = this.#known.keys();
      if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    } catch (thrown) {
      // The namespace of the object may be on its way out.
      const isGoing =
        thrown instanceof ApiError && (thrown.code === 'ERR_NOT_FOUND' || thrown.code === 'ERR_FORBIDDEN');
      if (!isGoing) this.#onProblem(toError(thrown));
    }
  }

  /** @returns false when the event is gone */
  async #countUp(namespace: string, name: string): Promise<boolean> {
    try {
      const again = (event: ApiObject): ApiObject => ({
        ...event,
        count: Number(event['count'] ?? 1) + 1,
        lastTimestamp: apiTime(new Date()),
      });
      await this.#registry.update(events, { namespace, name }, again);
      return true;
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.code === 'ERR_NOT_FOUND') return false;
      throw thrown;
    }
  }
}
