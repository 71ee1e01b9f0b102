import { isDeepStrictEqual } from 'node:util';
import { toError } from '../common/errors.ts';
import { ApiStatusError, isNotFound, type KubeClient, type OwnerReference, type Pod, pods } from '../kubeapi/index.ts';
import { deleteMirror, isIntact, isMirror, mirrorOf, shows } from './mirror-pod.ts';
import { withoutForeign } from './pod-conditions.ts';
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
  /** The pods that the apiserver holds for this node, mirrors included; undefined when that is not known. */
  readonly held: () => readonly Pod[] | undefined;
}

/** What the apiserver last said of a pod. */
interface Reported {
  readonly status: Pod['status'];
  readonly namespace: string;
  readonly name: string;
  /** Of a mirror: its spec as the apiserver made it. */
  readonly mirror: Pod['spec'] | undefined;
}

/**
 * Writes the status of the node's pods to the apiserver, and mirrors those that it does not know: static pods and
 * pods that the kubelet found running. Only differences are written; what failed is tried again at the next report. A
 * mirror that somebody deleted or changed, or that an apiserver forgot when it restarted, is made again; one of a pod
 * that is no longer there goes, also when an earlier kubelet made it.
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
    const mirrors = source !== 'api';
    if (mirrors && !this.#isMirrored(pod)) this.#reported.delete(uid);
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
    // What others say of the pod is theirs to write.
    const status = withoutForeign(pod.status);
    if (known !== undefined && isDeepStrictEqual(known.status, status) && !this.#isOverruled(pod)) return;
    let mirror = known?.mirror;
    if (mirrors && mirror === undefined) {
      const owner = this.#options.nodeOwner();
      // Written when the node is: the next look is soon.
      if (owner === undefined) return;
      mirror = (await this.#mirror(pod, owner)).spec;
    }
    await ignoringNotFound(
      this.#client.patch(pods, name, { status: statusPatch(status) }, { ...address, subresource: 'status' }),
    );
    this.#reported.set(uid, { status, namespace, name, mirror });
  }

  /** An apiserver that did not hear of the node says itself that its pods are not ready. */
  #isOverruled(pod: Pod): boolean {
    const there = this.#find(pod);
    return there !== undefined && readinessOf(there) !== readinessOf(pod);
  }

  #find({ metadata: { name, namespace = 'default' } }: Pod): Pod | undefined {
    return this.#options.held()?.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  }

  /** Does the apiserver hold the mirror of `pod` as it was made? True as long as that is not known. */
  #isMirrored(pod: Pod): boolean {
    if (this.#options.held() === undefined) return true;
    const there = this.#find(pod);
    const made = this.#reported.get(pod.metadata.uid ?? '')?.mirror;
    if (there === undefined || made === undefined) return false;
    return isIntact(there, mirrorOf(pod)) && isDeepStrictEqual(there.spec, made);
  }

  /** @returns the mirror as the apiserver has it */
  async #mirror(pod: Pod, owner: OwnerReference): Promise<Pod> {
    const { name, namespace = 'default' } = pod.metadata;
    const shown = mirrorOf(pod);
    const mirror = { ...shown, metadata: { ...shown.metadata, ownerReferences: [owner] } };
    const address = { namespace, ...this.#callOptions };
    try {
      return await this.#client.create(pods, mirror, address);
    } catch (thrown) {
      if (!(thrown instanceof ApiStatusError && thrown.httpStatus === 409)) throw thrown;
      const there = await this.#client.get(pods, name, address);
      if (isIntact(there, mirror) && shows(there, mirror)) return there;
      if (!isMirror(there)) {
        throw new Error(`pod ${namespace}/${name} of the apiserver has the name of one that runs on this node`, {
          cause: thrown,
        });
      }
      await deleteMirror(this.#client, there, address);
      return await this.#client.create(pods, mirror, address);
    }
  }

  /** Forgets pods that are no longer there, and takes their mirrors away. */
  #vanished(seen: readonly NodePod[]): (readonly [uid: string, step: () => Promise<void>])[] {
    const there = new Set(seen.map(uidOf));
    const names = new Set(seen.map(({ pod: { metadata } }) => `${metadata.namespace}/${metadata.name}`));
    for (const uid of this.#reported.keys()) if (!there.has(uid)) this.#reported.delete(uid);
    const orphans = (this.#options.held() ?? []).filter(
      (pod) => isMirror(pod) && !names.has(`${pod.metadata.namespace}/${pod.metadata.name}`),
    );
    return orphans.map((pod) => {
      const { namespace = 'default', uid = '' } = pod.metadata;
      return [uid, () => deleteMirror(this.#client, pod, { namespace, ...this.#callOptions })];
    });
  }
}

function readinessOf({ status }: Pod): string | undefined {
  return status?.conditions?.find(({ type }) => type === 'Ready')?.status;
}

function uidOf({ pod }: NodePod): string {
  return pod.metadata.uid ?? '';
}

async function ignoringNotFound(answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (thrown) {
    if (!isNotFound(thrown)) throw thrown;
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
