import { toError } from '../common/errors.ts';
import {
  type Condition,
  type Lease,
  leases,
  NODE_LEASE_NAMESPACE,
  type Node,
  nodes,
  type Pod,
  pods,
  type ResourceType,
} from '../kubeapi/index.ts';
import { ApiError } from './api-error.ts';
import { type ApiObject, objectsAt } from './api-object.ts';
import { EventRecorder } from './event-recorder.ts';
import { ObjectCache } from './object-cache.ts';
import { apiTime } from './object-rules.ts';
import { addressOf, type Registry } from './registry.ts';
import type { ControllerOptions } from './scheduler.ts';

/** `--node-monitor-grace-period`: how long a node may be silent, in ms. */
export const NODE_MONITOR_GRACE_MS = 50_000;

/** `--node-monitor-period`: how often it is looked, in ms. */
export const NODE_MONITOR_PERIOD_MS = 5_000;

export interface NodeMonitorOptions extends ControllerOptions {
  readonly graceMs?: number;
  readonly periodMs?: number;
}

const SILENT_MESSAGE = 'Kubelet stopped posting node status.';

/**
 * Marks a node whose kubelet has fallen silent as not ready, and its pods too. What the kubelet reports next takes both
 * back.
 *
 * A sign of life is a change of the node's lease or of its heartbeat as seen here: clocks of other machines are not
 * compared. A node that has neither was made by hand, for a kubelet that reports to nobody: nothing is known of it.
 */
export class NodeMonitor {
  readonly #registry: Registry;
  readonly #options: NodeMonitorOptions;
  readonly #recorder: EventRecorder;
  readonly #nodes: ObjectCache<Node>;
  readonly #leases: ObjectCache<Lease>;
  /** The last sign of life of each node, when it was seen, in ms of this machine's clock, and whether it was missed. */
  readonly #seen = new Map<string, { readonly sign: string; readonly at: number; isMissed: boolean }>();
  readonly #timer: NodeJS.Timeout;
  #look: Promise<void> = Promise.resolve();

  constructor(registry: Registry, options: NodeMonitorOptions) {
    this.#registry = registry;
    this.#options = options;
    this.#recorder = new EventRecorder(registry, 'node-controller', options.onProblem);
    this.#nodes = new ObjectCache(registry, nodes, { ...options, onChange: (key) => this.#changed(key) });
    this.#leases = new ObjectCache(registry, leases, {
      ...options,
      onChange: (key) => this.#changed(key.replace(`${NODE_LEASE_NAMESPACE}/`, '/')),
    });
    const { graceMs = NODE_MONITOR_GRACE_MS, periodMs = NODE_MONITOR_PERIOD_MS } = options;
    this.#timer = setInterval(
      () => {
        this.#look = this.#look.then(() => this.#lookAtAll(graceMs));
      },
      Math.min(periodMs, graceMs),
    ).unref();
  }

  async done(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([this.#nodes.done, this.#leases.done]);
    await this.#look;
  }

  /** @param key of a node, or of a lease that bears its name */
  #changed(key: string): void {
    const node = this.#nodes.get(key);
    if (node === undefined) {
      this.#seen.delete(key);
      return;
    }
    const lease = this.#leases.get(`${NODE_LEASE_NAMESPACE}${key}`);
    const sign = `${lease?.spec?.renewTime ?? ''} ${heartbeatOf(node)}`.trim();
    if (sign === '') this.#seen.delete(key);
    else if (this.#seen.get(key)?.sign !== sign) {
      this.#seen.set(key, { sign, at: performance.now(), isMissed: false });
    }
  }

  async #lookAtAll(graceMs: number): Promise<void> {
    for (const [key, seen] of this.#seen) {
      const node = this.#nodes.get(key);
      if (this.#options.signal.aborted) return;
      if (node === undefined || seen.isMissed || performance.now() - seen.at < graceMs) continue;
      try {
        await this.#markSilent(node);
        seen.isMissed = true;
      } catch (thrown) {
        const isGone = thrown instanceof ApiError && thrown.code === 'ERR_NOT_FOUND';
        if (!isGone && !this.#options.signal.aborted) this.#options.onProblem(toError(thrown));
      }
    }
  }

  async #markSilent(node: Node & ApiObject): Promise<void> {
    const { name } = node.metadata;
    const isMarked = await this.#update(nodes, node, (now) =>
      readyOf(now)?.status === 'Unknown' ? now : withUnknownConditions(now),
    );
    if (isMarked) {
      const message = `Node ${name} status is now: NodeNotReady`;
      await this.#recorder.record('Node', node, { type: 'Normal', reason: 'NodeNotReady', message });
    }
    // Also when it was marked by somebody else, who may have been killed before this.
    const { items } = await this.#registry.list(pods, { fieldSelector: `spec.nodeName=${name}` });
    for (const pod of items as readonly (Pod & ApiObject)[]) {
      if (readyOf(pod)?.status !== 'True') continue;
      const isChanged = await this.#update(pods, pod, (now) =>
        readyOf(now)?.status === 'True' ? withoutReadiness(now) : now,
      );
      if (!isChanged) continue;
      const message = 'Node is not ready';
      await this.#recorder.record('Pod', pod, { type: 'Warning', reason: 'NodeNotReady', message });
    }
  }

  /**
   * Several apiservers look at once, each at what it has seen so far: whoever is first does it, the others find it done.
   *
   * @returns false when `change` left the object as it was
   */
  async #update<T extends Node | Pod>(
    type: ResourceType<T>,
    object: ApiObject,
    change: (now: T & ApiObject) => ApiObject,
  ): Promise<boolean> {
    let isChanged = false;
    const noticed = (now: ApiObject): ApiObject => {
      const next = change(now as T & ApiObject);
      isChanged = next !== now;
      return next;
    };
    await this.#registry.update(type, addressOf(object), noticed, { scope: 'status' });
    return isChanged;
  }
}

function readyOf({ status }: Node | Pod): Condition | undefined {
  return status?.conditions?.find(({ type }) => type === 'Ready');
}

function withUnknownConditions(node: ApiObject): ApiObject {
  const lastTransitionTime = apiTime(new Date());
  const conditions = objectsAt(node, ['status', 'conditions']);
  const known = conditions.some(({ type }) => type === 'Ready') ? conditions : [...conditions, { type: 'Ready' }];
  const unknown = known.map((condition) => ({
    ...condition,
    status: 'Unknown',
    reason: 'NodeStatusUnknown',
    message: SILENT_MESSAGE,
    lastTransitionTime,
  }));
  return { ...node, status: { ...(node['status'] as object | undefined), conditions: unknown } };
}

function withoutReadiness(pod: ApiObject): ApiObject {
  const conditions = objectsAt(pod, ['status', 'conditions']).map((condition) =>
    condition['type'] === 'Ready'
      ? { ...condition, status: 'False', lastTransitionTime: apiTime(new Date()) }
      : condition,
  );
  return { ...pod, status: { ...(pod['status'] as object), conditions } };
}

/** Node conditions alone have this field. */
function heartbeatOf(node: Node): string {
  const { lastHeartbeatTime } = { ...readyOf(node) } as { readonly lastHeartbeatTime?: string | null };
  return lastHeartbeatTime ?? '';
}
