import type { Container, CriClient, PodSandbox } from '../cri/index.ts';
import { ContainerState, PodSandboxState } from '../cri/index.ts';

/** A pod as the runtime has it: its newest sandbox and that sandbox's containers, newest attempt of each name. */
export interface PodView {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly sandbox: PodSandbox;
  /** Is the sandbox alive? */
  readonly ready: boolean;
  /** By container name. */
  readonly containers: ReadonlyMap<string, Container>;
}

/**
 * The pods that the runtime holds, whoever started them.
 *
 * The kubelet has no memory of its own beside it: a pod can be exec'd into as soon as the runtime lists it.
 */
export class RuntimeView {
  readonly #cri: CriClient;

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
    const newest = new Map<string, PodSandbox>();
    for (const sandbox of sandboxes.items.sort(byAge)) newest.set(podKey(sandbox), sandbox);
    return [...newest.values()].sort(byAge).map((sandbox) =>
      viewOf(
        sandbox,
        containers.containers.filter((container) => container.podSandboxId === sandbox.id),
      ),
    );
  }

  /** The pod of that name, or undefined. A `uid`, when given, must match too. */
  async find(
    namespace: string,
    name: string,
    { uid, signal }: { readonly uid?: string | undefined; readonly signal?: AbortSignal } = {},
  ): Promise<PodView | undefined> {
    const pods = await this.list(signal === undefined ? {} : { signal });
    return pods.findLast(
      (pod) => pod.namespace === namespace && pod.name === name && (uid === undefined || pod.uid === uid),
    );
  }
}

function viewOf(sandbox: PodSandbox, containers: readonly Container[]): PodView {
  const byName = new Map<string, Container>();
  for (const container of [...containers].sort(byAge)) {
    const name = container.metadata?.name ?? '';
    const known = byName.get(name);
    // A running container wins over a newer one that is not up yet: exec goes to what runs.
    if (known?.state === ContainerState.CONTAINER_RUNNING && container.state !== ContainerState.CONTAINER_RUNNING)
      continue;
    byName.set(name, container);
  }
  return {
    namespace: sandbox.metadata?.namespace || 'default',
    name: sandbox.metadata?.name ?? '',
    uid: sandbox.metadata?.uid ?? '',
    sandbox,
    ready: sandbox.state === PodSandboxState.SANDBOX_READY,
    containers: byName,
  };
}

function podKey(sandbox: PodSandbox): string {
  return [sandbox.metadata?.namespace, sandbox.metadata?.name, sandbox.metadata?.uid].join('/');
}

function byAge(one: { readonly createdAt: bigint }, other: { readonly createdAt: bigint }): number {
  return Number(one.createdAt - other.createdAt);
}
