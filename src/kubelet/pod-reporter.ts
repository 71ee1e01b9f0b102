import { isDeepStrictEqual } from 'node:util';
import { toError } from '../common/errors.ts';
import { ApiStatusError, type KubeClient, type OwnerReference, type Pod, pods } from '../kubeapi/index.ts';
import { CONFIG_HASH, CONFIG_MIRROR, isMirror } from './adopted-pod.ts';
import type { NodePod } from './sync-loop.ts';

/** Longest time of one request, in ms: the next report tries again. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Requests under way at once. */
const MAX_PARALLEL = 8;

export interface PodReporterOptions {
  /** Of the registered node, which owns its mirrors; undefined before. */
  readonly nodeOwner: () => OwnerReference | undefined;
  readonly client: KubeClient;
  readonly onError: (message: string) => void;
  /** The apiserver's pod of this name as last seen; undefined when that is not known. */
  readonly find: (namespace: string, name: string) => Pod | 'absent' | undefined;
}

/** What the apiserver last said of a pod. */
interface Reported {
  readonly status: Pod['status'];
  readonly mirror: boolean;
  readonly namespace: string;
  readonly name: string;
}

/**
 * Writes the status of the node's pods to the apiserver, and mirrors those that it does not know: static pods and
 * pods that the kubelet found running. Only differences are written; what failed is tried again at the next report. A
 * mirror that somebody deleted, or that an apiserver forgot when it restarted, is made again.
 */
export class PodReporter {
  readonly #client: KubeClient;
  readonly #options: PodReporterOptions;
  readonly #signal: AbortSignal;
  readonly #reported = new Map<string, Reported>();
  /** What could not be written, by uid: said once, not at each look. */
  readonly #complaints = new Map<string, string>();
  #running: Promise<void> | undefined;
  #next: readonly NodePod[] | undefined;

  constructor(options: PodReporterOptions, signal: AbortSignal) {
    this.#client = options.client;
    this.#options = options;
    this.#signal = signal;
  }

  /** Takes the newest picture; one that comes while another is being written waits and is replaced by newer ones. */
  report(seen: readonly NodePod[]): void {
    this.#next = seen;
    if (this.#running !== undefined) return;
    this.#running = this.#drain().finally(() => {
      this.#running = undefined;
      if (this.#next !== undefined && !this.#signal.aborted) this.report(this.#next);
    });
  }

  async settled(): Promise<void> {
    await this.#running;
  }

  get #callOptions(): { readonly signal: AbortSignal; readonly timeoutMs: number } {
    return { signal: this.#signal, timeoutMs: REQUEST_TIMEOUT_MS };
  }

  async #drain(): Promise<void> {
    while (this.#next !== undefined && !this.#signal.aborted) {
      const seen = this.#next;
      this.#next = undefined;
      const steps = [...seen.map((pod) => [uidOf(pod), () => this.#write(pod)] as const), ...this.#vanished(seen)];
      for (let at = 0; at < steps.length; at += MAX_PARALLEL) {
        await Promise.all(steps.slice(at, at + MAX_PARALLEL).map(([uid, step]) => this.#attempt(uid, step)));
      }
      const there = new Set(seen.map(uidOf));
      for (const uid of this.#complaints.keys()) if (!there.has(uid)) this.#complaints.delete(uid);
    }
  }

  async #attempt(uid: string, step: () => Promise<void>): Promise<void> {
    try {
      await step();
      this.#complaints.delete(uid);
    } catch (thrown) {
      if (this.#signal.aborted) return;
      const message = `pod status: ${toError(thrown).message}`;
      if (this.#complaints.get(uid) !== message) this.#options.onError(message);
      this.#complaints.set(uid, message);
    }
  }

  async #write({ pod, source, gone }: NodePod): Promise<void> {
    if (source === 'unknown') return;
    const { name, namespace = 'default', uid = '' } = pod.metadata;
    const mirror = source !== 'api';
    if (mirror && (await this.#isMirrorGone(namespace, name))) this.#reported.delete(uid);
    const known = this.#reported.get(uid);
    const address = { namespace, ...this.#callOptions };
    if (gone) {
      // The last word on a pod that was to be deleted: its containers have ended.
      await ignoringNotFound(
        this.#client.delete(pods, name, { ...address, gracePeriodSeconds: 0, preconditions: { uid } }),
      );
      this.#reported.delete(uid);
      return;
    }
    if (known !== undefined && isDeepStrictEqual(known.status, pod.status)) return;
    if (mirror && known === undefined) {
      const owner = this.#options.nodeOwner();
      // Written when the node is: the next look is soon.
      if (owner === undefined) return;
      await this.#mirror(pod, owner);
    }
    await ignoringNotFound(
      this.#client.patch(pods, name, { status: statusPatch(pod.status) }, { ...address, subresource: 'status' }),
    );
    this.#reported.set(uid, { status: pod.status, mirror, namespace, name });
  }

  /**
   * Is there none any more? One that somebody deleted waits for its node to let go of it, for nothing of the pod ends:
   * that is done here.
   */
  async #isMirrorGone(namespace: string, name: string): Promise<boolean> {
    const seen = this.#options.find(namespace, name);
    if (seen === undefined || seen === 'absent') return seen === 'absent';
    const { deletionTimestamp, uid = '' } = seen.metadata;
    if (!isMirror(seen) || !deletionTimestamp) return false;
    const options = { namespace, gracePeriodSeconds: 0, preconditions: { uid }, signal: this.#signal };
    try {
      await this.#client.delete(pods, name, options);
    } catch (thrown) {
      // 409: what was seen is old, and the name has another mirror already.
      if (!(thrown instanceof ApiStatusError && [404, 409].includes(thrown.httpStatus))) throw thrown;
    }
    return true;
  }

  async #mirror(pod: Pod, owner: OwnerReference): Promise<void> {
    const { annotations = {}, name, namespace = 'default' } = pod.metadata;
    const mark = annotations[CONFIG_MIRROR] ?? annotations[CONFIG_HASH] ?? pod.metadata.uid ?? '';
    const metadata = {
      ...pod.metadata,
      annotations: { ...annotations, [CONFIG_MIRROR]: mark },
      ownerReferences: [owner],
    };
    const mirror = { ...pod, metadata };
    try {
      await this.#client.create(pods, mirror, { namespace, ...this.#callOptions });
    } catch (thrown) {
      if (!(thrown instanceof ApiStatusError && thrown.httpStatus === 409)) throw thrown;
      const there = await this.#client.get(pods, name, { namespace, ...this.#callOptions });
      if (there.metadata.annotations?.[CONFIG_MIRROR] === mark) return;
      if (there.metadata.annotations?.[CONFIG_MIRROR] === undefined) {
        throw new Error(`pod ${namespace}/${name} of the apiserver has the name of one that runs on this node`, {
          cause: thrown,
        });
      }
      await ignoringNotFound(
        this.#client.delete(pods, name, { namespace, gracePeriodSeconds: 0, ...this.#callOptions }),
      );
      await this.#client.create(pods, mirror, { namespace, ...this.#callOptions });
    }
  }

  /** Mirrors of pods that are no longer there. */
  #vanished(seen: readonly NodePod[]): (readonly [uid: string, step: () => Promise<void>])[] {
    const there = new Set(seen.map(uidOf));
    return [...this.#reported]
      .filter(([uid]) => !there.has(uid))
      .map(([uid, { mirror, namespace, name }]) => {
        const forget = async (): Promise<void> => {
          const options = { namespace, gracePeriodSeconds: 0, ...this.#callOptions };
          if (mirror) await ignoringNotFound(this.#client.delete(pods, name, options));
          this.#reported.delete(uid);
        };
        return [uid, forget];
      });
  }
}

function uidOf({ pod }: NodePod): string {
  return pod.metadata.uid ?? '';
}

async function ignoringNotFound(answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (thrown) {
    if (!(thrown instanceof ApiStatusError && thrown.httpStatus === 404)) throw thrown;
  }
}

/** A merge keeps what it is not told of: what a status may have had before and has no more is told to go. */
function statusPatch(status: Pod['status'] = {}): object {
  const gone = { reason: null, message: null, podIP: null, podIPs: null };
  const conditions = status.conditions?.map((condition) => ({ reason: null, message: null, ...condition }));
  const replaced = { $patch: 'replace' };
  const { podIPs, hostIPs } = status;
  return {
    ...gone,
    ...status,
    ...(conditions === undefined ? {} : { conditions }),
    ...(podIPs === undefined ? {} : { podIPs: [replaced, ...podIPs] }),
    ...(hostIPs === undefined ? {} : { hostIPs: [replaced, ...hostIPs] }),
  };
}
