import {
  type Container,
  ContainerState,
  type CriClient,
  type ContainerStatus as CriContainerStatus,
  grpcCodes,
  NamespaceMode,
  type PodSandboxStatus,
  RuntimeCallError,
} from '../cri/index.ts';
import type { PodFolders } from './pod-folders.ts';
import { type PodView, RuntimeView } from './runtime-view.ts';
import { terminationMessage } from './termination-message.ts';

interface SeenSandbox {
  readonly ips: readonly string[];
  readonly hostNetwork: boolean;
}

interface SeenContainer {
  readonly state: ContainerState;
  readonly status: CriContainerStatus;
}

/** A pod in the runtime with what only the single status calls tell: addresses, exit codes, times. */
export interface ObservedPod extends PodView {
  /** Empty for pods on the host's network. */
  readonly ips: readonly string[];
  readonly hostNetwork: boolean;
  /** By container name; the message of one that has ended includes its own last word. */
  readonly statuses: ReadonlyMap<string, CriContainerStatus>;
  /** How the attempt before the present one ended, by container name. */
  readonly previousStatuses: ReadonlyMap<string, CriContainerStatus>;
}

/**
 * Looks at the runtime again and again; asks for a container's status only when its state changed since.
 *
 * Bounded by what the runtime holds: what it no longer lists is forgotten.
 */
export class PodObserver {
  readonly #cri: CriClient;
  readonly #view: RuntimeView;
  readonly #folders: PodFolders | undefined;
  #statuses = new Map<string, SeenContainer>();
  #sandboxes = new Map<string, SeenSandbox>();

  /**
   * @param view where others find what was seen
   * @param folders where containers leave their last word
   */
  constructor(cri: CriClient, view: RuntimeView = new RuntimeView(cri), folders?: PodFolders) {
    this.#cri = cri;
    this.#view = view;
    this.#folders = folders;
  }

  /** @throws RuntimeCallError when the runtime cannot be asked */
  async observe(): Promise<ObservedPod[]> {
    const views = await this.#view.list();
    const pods: ObservedPod[] = [];
    const statuses = new Map<string, SeenContainer>();
    const sandboxes = new Map<string, SeenSandbox>();
    for (const view of views) {
      const sandbox = this.#sandboxes.get(view.sandbox.id) ?? (await this.#sandbox(view.sandbox.id));
      if (sandbox === undefined) continue;
      sandboxes.set(view.sandbox.id, sandbox);
      const look = async (
        containers: Iterable<readonly [string, Container]>,
      ): Promise<Map<string, CriContainerStatus>> => {
        const byName = new Map<string, CriContainerStatus>();
        for (const [name, { id, state }] of containers) {
          const known = this.#statuses.get(id);
          const status = known?.state === state ? known.status : await this.#status(id);
          if (status === undefined) continue;
          statuses.set(id, { state, status });
          byName.set(name, status);
        }
        return byName;
      };
      // The newest of the older ones stands last, and is the one that stays in the map.
      const older = new Map(view.olderContainers.filter(isOver).map((one) => [one.metadata?.name ?? '', one]));
      pods.push({ ...view, ...sandbox, statuses: await look(view.containers), previousStatuses: await look(older) });
    }
    this.#statuses = statuses;
    this.#sandboxes = sandboxes;
    return pods;
  }

  async #sandbox(podSandboxId: string): Promise<SeenSandbox | undefined> {
    try {
      const { status } = await this.#cri.runtime.podSandboxStatus({ podSandboxId });
      const hostNetwork = status?.linux?.namespaces?.options?.network === NamespaceMode.NODE;
      return { ips: addressesOf(status), hostNetwork };
    } catch (thrown) {
      return removedSince(thrown);
    }
  }

  async #status(containerId: string): Promise<CriContainerStatus | undefined> {
    try {
      const { status } = await this.#cri.runtime.containerStatus({ containerId });
      if (status === undefined || !hasExited(status)) return status;
      const last = await terminationMessage(status, this.#folders);
      return { ...status, message: [status.message, last].filter((text) => text !== '').join(': ') };
    } catch (thrown) {
      return removedSince(thrown);
    }
  }
}

/** The addresses of a sandbox; none on the host's network. */
export function addressesOf(status: PodSandboxStatus | undefined): readonly string[] {
  const { ip = '', additionalIps = [] } = status?.network ?? {};
  return [ip, ...additionalIps.map((other) => other.ip)].filter((address) => address !== '');
}

/** What was listed a moment ago may be gone; any other failure is one. */
function removedSince(thrown: unknown): undefined {
  if (thrown instanceof RuntimeCallError && thrown.grpcCode === grpcCodes.NotFound) return undefined;
  throw thrown;
}

function isOver({ state }: Container): boolean {
  return state === ContainerState.CONTAINER_EXITED;
}

/** Is the container over? Created and unknown ones are not. */
export function hasExited(status: CriContainerStatus): boolean {
  return status.state === ContainerState.CONTAINER_EXITED;
}
