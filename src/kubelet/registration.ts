import { deferred } from '../common/deferred.ts';
import { toError } from '../common/errors.ts';
import {
  ApiStatusError,
  isNotFound,
  type KubeClient,
  type Lease,
  leases,
  NODE_LEASE_NAMESPACE,
  type Node,
  nodes,
  type OwnerReference,
} from '../kubeapi/index.ts';
import { PodReporter, type PodReporterOptions } from './pod-reporter.ts';
import type { NodePod } from './sync-loop.ts';

/** `--node-status-update-frequency`: how often the node's lease is renewed and its status looked at, in ms. */
export const HEARTBEAT_MS = 10_000;

const LEASE_SECONDS = 40;

/** First wait after a failed heartbeat, doubled up to the time between two, in ms. */
const FIRST_RETRY_MS = 250;

export interface RegistrationOptions extends Omit<PodReporterOptions, 'nodeOwner'> {
  /** @param before what the apiserver holds: conditions keep the times at which they changed */
  readonly describeNode: (before: Node | undefined) => Promise<Node>;
  /** Default {@link HEARTBEAT_MS}. */
  readonly heartbeatMs?: number | undefined;
  /** The apiserver answers again after it did not: what waits on older connections waits in vain. */
  readonly onReturn?: () => void;
}

/** Keeps the node, its lease and its pods' status in an apiserver as they are on the machine. */
export class Registration {
  readonly #client: KubeClient;
  readonly #describeNode: (before: Node | undefined) => Promise<Node>;
  readonly #onError: (message: string) => void;
  readonly #reporter: PodReporter;
  readonly #registered = deferred<void>();
  readonly #stop = new AbortController();
  readonly #heartbeatMs: number;
  readonly #onReturn: () => void;
  #isCutOff = false;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> = Promise.resolve();
  #retryMs = FIRST_RETRY_MS;
  #nodeOwner: OwnerReference | undefined;

  constructor(options: RegistrationOptions) {
    this.#client = options.client;
    this.#describeNode = options.describeNode;
    this.#onError = options.onError;
    this.#heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS;
    this.#onReturn = options.onReturn ?? (() => {});
    this.#reporter = new PodReporter({ ...options, nodeOwner: () => this.#nodeOwner }, this.#stop.signal);
  }

  /** Resolves at the first success. */
  get registered(): Promise<void> {
    return this.#registered.promise;
  }

  start(): void {
    this.#beating = this.#beat();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#beating;
    await this.#reporter.settled();
  }

  /** The pods as of the last look. */
  report(pods: readonly NodePod[]): void {
    this.#reporter.report(pods);
  }

  async #beat(): Promise<void> {
    let waitMs = this.#heartbeatMs;
    try {
      const node = await this.#writeNode();
      const { name, uid = '' } = node.metadata;
      this.#nodeOwner = { apiVersion: 'v1', kind: 'Node', name, uid, controller: true };
      await this.#renewLease(node);
      this.#registered.resolve();
      this.#retryMs = FIRST_RETRY_MS;
      if (this.#isCutOff) this.#onReturn();
      this.#isCutOff = false;
    } catch (thrown) {
      if (this.#stop.signal.aborted) return;
      waitMs = this.#retryMs;
      this.#isCutOff ||= !(thrown instanceof ApiStatusError);
      this.#retryMs = Math.min(this.#retryMs * 2, this.#heartbeatMs);
      this.#onError(`node registration: ${toError(thrown).message}`);
    }
    if (this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#beating = this.#beat();
    }, waitMs);
  }

  /** A heartbeat that takes longer than the time to the next one has failed, as upstream has it. */
  get #callOptions(): { readonly signal: AbortSignal; readonly timeoutMs: number } {
    return { signal: this.#stop.signal, timeoutMs: this.#heartbeatMs };
  }

  async #writeNode(): Promise<Node> {
    const call = this.#callOptions;
    const before = await found(this.#client.get(nodes, (await this.#describeNode(undefined)).metadata.name, call));
    const now = await this.#describeNode(before);
    if (before === undefined) {
      await this.#client.create(nodes, now, call);
    }
    const patch = { metadata: { labels: now.metadata.labels }, status: now.status };
    return await this.#client.patch(nodes, now.metadata.name, patch, { ...call, subresource: 'status' });
  }

  async #renewLease(node: Node): Promise<void> {
    const { name, uid = '' } = node.metadata;
    const address = { ...this.#callOptions, namespace: NODE_LEASE_NAMESPACE };
    const before = await found(this.#client.get(leases, name, address));
    const lease: Lease = {
      metadata: {
        ...(before?.metadata ?? { name, namespace: NODE_LEASE_NAMESPACE }),
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid }],
      },
      spec: { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime: microTime(new Date()) },
    };
    await (before === undefined
      ? this.#client.create(leases, lease, address)
      : this.#client.update(leases, lease, address));
  }
}

/** The object, or undefined for a 404. */
async function found<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (thrown) {
    if (isNotFound(thrown)) return undefined;
    throw thrown;
  }
}

/** metav1.MicroTime. */
function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}
