import type { Container, CriClient, PodSandbox } from '../cri/index.ts';
import { ContainerState, PodSandboxState } from '../cri/index.ts';

/** A pod as the runtime has it: its newest sandbox, and the newest attempt of each container over all its sandboxes. */
export interface PodView {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly sandbox: PodSandbox;
  /** Is the sandbox alive? */
  readonly ready: boolean;
  /** By container name. */
  readonly containers: ReadonlyMap<string, Container>;
  /** Sandboxes that `sandbox` took the place of, oldest first; containers in them may still be alive. */
  readonly olderSandboxes: readonly PodSandbox[];
  /** Attempts that those in `containers` took the place of, oldest first. */
  readonly olderContainers: readonly Container[];
}

/**
 * The pods that the runtime holds, whoever started them.
 *
 * The kubelet has no memory of its own beside it: a pod can be exec'd into as soon as the runtime lists it. What the last
 * list said is kept as a first guess for those who can bear that it is wrong.
 */
export class RuntimeView {
  readonly #cri: CriClient;
  #lastList: readonly PodView[] = [];

  constructor(cri: CriClient) {
    this.#cri = cri;
  }

  /**
   * All pods, in the order in which their sandboxes were made.
   *
   * @throws RuntimeCallError when the runtime cannot be asked, or by `signal`
   */
  async list(options: { readonly signal?: AbortSignal } = {}): Promise<PodView[]> {
    const [sandboxes, containers] = await Promise.all([
      this.#cri.runtime.listPodSandbox({}, options),
      this.#cri.runtime.listContainers({}, options),
    ]);
    const groups = new Map<string, PodSandbox[]>();
    for (const sandbox of sandboxes.items.sort(byAge)) {
      const key = podKey(sandbox);
      groups.set(key, [...(groups.get(key) ?? []), sandbox]);
    }
    this.#lastList = [...groups.values()].flatMap((group) => viewOf(group, containers.containers)).sort(bySandboxAge);
    return [...this.#lastList];
  }

  /** The pod of that name, or undefined. A `uid`, when given, must match too. */
  async find(name: PodName, options: { readonly signal?: AbortSignal } = {}): Promise<PodView | undefined> {
    return newest(await this.list(options), name);
  }

  /** As {@link RuntimeView.find} would have answered at the last list, whoever asked for that. */
  lastSeen(name: PodName): PodView | undefined {
    return newest(this.#lastList, name);
  }
}

/** Which pod; any of that name without a `uid`. */
export interface PodName {
  readonly namespace: string;
  readonly pod: string;
  readonly uid?: string | undefined;
}

function newest(pods: readonly PodView[], { namespace, pod: name, uid }: PodName): PodView | undefined {
  return pods.findLast(
    (pod) => pod.namespace === namespace && pod.name === name && (uid === undefined || pod.uid === uid),
  );
}

/** @param group all sandboxes of one pod, oldest first; gives nothing when it is empty */
function viewOf(group: readonly PodSandbox[], all: readonly Container[]): PodView[] {
  const sandbox = group.at(-1);
  if (sandbox === undefined) return [];
  const ids = new Set(group.map(({ id }) => id));
  const byName = new Map<string, Container>();
  const olderContainers: Container[] = [];
  for (const container of all.filter(({ podSandboxId }) => ids.has(podSandboxId)).sort(byAge)) {
    const name = container.metadata?.name ?? '';
    const known = byName.get(name);
    // A running container wins over a newer one that is not up yet: exec goes to what runs.
    const knownWins =
      known?.state === ContainerState.CONTAINER_RUNNING && container.state !== ContainerState.CONTAINER_RUNNING;
    if (knownWins) olderContainers.push(container);
    else {
      if (known !== undefined) olderContainers.push(known);
      byName.set(name, container);
    }
  }
  const view = {
    namespace: sandbox.metadata?.namespace || 'default',
    name: sandbox.metadata?.name ?? '',
    uid: sandbox.metadata?.uid ?? '',
    sandbox,
    ready: sandbox.state === PodSandboxState.SANDBOX_READY,
    containers: byName,
    olderSandboxes: group.slice(0, -1),
    olderContainers,
  };
  return [view];
}

function podKey(sandbox: PodSandbox): string {
  return [sandbox.metadata?.namespace, sandbox.metadata?.name, sandbox.metadata?.uid].join('/');
}

function byAge(one: { readonly createdAt: bigint }, other: { readonly createdAt: bigint }): number {
  return Number(one.createdAt - other.createdAt);
}

function bySandboxAge(one: PodView, other: PodView): number {
  return byAge(one.sandbox, other.sandbox);
}
