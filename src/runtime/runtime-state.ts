import { join } from 'node:path';
import { toError } from '../common/errors.ts';
import { ContainerEventType, grpcCodes, RuntimeCallError } from '../cri/index.ts';
import type { Container, ContainerOptions } from './container.ts';
import { ContainerEvents } from './container-events.ts';
import type { HostImage } from './host-image.ts';
import type { ImageStore } from './image/index.ts';
import type { Isolation } from './isolation/index.ts';
import { ObjectStore } from './object-store.ts';
import type { FifoPool } from './process/index.ts';
import { type RecordFolder, tellMended } from './record-folder.ts';
import type { Sandbox } from './sandbox.ts';
import type { StateDir } from './state-dir.ts';

type Surroundings = Pick<
  ContainerOptions,
  'directory' | 'keptDir' | 'marker' | 'keeperMarker' | 'run' | 'records' | 'pipes'
>;

export interface RuntimeStateOptions {
  /** Its mark is that of every process of this runtime; those of a container add `/` and its id. */
  readonly directory: StateDir;
  readonly image: HostImage;
  readonly images: ImageStore;
  readonly pipes: FifoPool;
  /** undefined where containers get no walls. */
  readonly isolation: Isolation | undefined;
  /** Why they get none. */
  readonly obstacle: string;
}

/**
 * What the calls of one runtime share.
 *
 * Owns: the sandboxes and containers.
 */
export class RuntimeState {
  readonly sandboxes = new ObjectStore<Sandbox>('sandbox');
  readonly containers = new ObjectStore<Container>('container');
  readonly events = new ContainerEvents();
  readonly directory: StateDir;
  readonly records: RecordFolder;
  readonly image: HostImage;
  readonly images: ImageStore;
  readonly pipes: FifoPool;
  readonly isolation: Isolation | undefined;
  readonly obstacle: string;
  readonly #makings = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(options: RuntimeStateOptions) {
    this.directory = options.directory;
    this.records = options.directory.records;
    this.image = options.image;
    this.images = options.images;
    this.pipes = options.pipes;
    this.isolation = options.isolation;
    this.obstacle = options.obstacle;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** @throws RuntimeCallError Unavailable once the runtime is being closed */
  assertOpen(): void {
    if (this.#isClosed) throw new RuntimeCallError(grpcCodes.Unavailable, 'the runtime is shutting down');
  }

  /**
   * Makes a pod or a container, unless the runtime is being closed; that waits until it is made, or taken back.
   *
   * @throws RuntimeCallError Unavailable once the runtime is being closed; what `work` throws
   */
  async make<T>(work: () => Promise<T>): Promise<T> {
    this.assertOpen();
    const making = work();
    this.#makings.add(making);
    try {
      return await making;
    } finally {
      this.#makings.delete(making);
    }
  }

  /** What the container `id` has of this runtime. */
  surroundings(id: string): Surroundings {
    const { marker, containersDir, keptDir, run, records } = this.directory;
    return {
      directory: join(containersDir, id),
      keptDir: join(keptDir, id),
      marker: `${marker}/${id}`,
      keeperMarker: `${marker}.keeper/${id}`,
      run,
      records,
      pipes: this.pipes,
    };
  }

  /** Pid of a running container's first process. */
  readonly pidOf = (containerId: string): number | undefined => this.containers.find(containerId)?.pid;

  /** Ends every container of a pod, and what they share. */
  async stopSandbox(sandbox: Sandbox): Promise<void> {
    sandbox.stop();
    await Promise.all(this.containersOf(sandbox).map((container) => container.stop('SIGKILL', 0)));
    await sandbox.pod?.stop();
  }

  /** As {@link stopSandbox}, and tells those who watch if it was ready. */
  async endSandbox(sandbox: Sandbox): Promise<void> {
    const wasReady = sandbox.isReady;
    await this.stopSandbox(sandbox);
    if (wasReady) this.tell(ContainerEventType.CONTAINER_STOPPED_EVENT, sandbox);
  }

  /** Ends a pod whose first process dies. @see cri.md 4.2 */
  endWhenLost(sandbox: Sandbox): void {
    void sandbox.pod?.lost.then(async () => {
      if (this.#isClosed || !sandbox.isReady) return;
      tellMended(sandbox.id, 'pod is not ready any more: its first process has died');
      await this.endSandbox(sandbox).catch((thrown: unknown) => {
        tellMended(sandbox.id, `pod is not whole, and cannot be stopped: ${toError(thrown).message}`);
      });
    });
  }

  containersOf(sandbox: Sandbox): Container[] {
    return this.containers.values().filter(({ options }) => options.podSandboxId === sandbox.id);
  }

  async removeContainer(container: Container): Promise<void> {
    await container.remove();
    const isFirst = this.containers.find(container.id) === container;
    this.containers.delete(container);
    const sandbox = this.sandboxes.find(container.options.podSandboxId);
    if (isFirst && sandbox !== undefined) this.tell(ContainerEventType.CONTAINER_DELETED_EVENT, sandbox, container);
  }

  /** Tells those who watch when a running container ends. */
  tellEnd(sandbox: Sandbox, container: Container): void {
    void container.whenEnded().then(() => {
      if (container.phase === 'exited') this.tell(ContainerEventType.CONTAINER_STOPPED_EVENT, sandbox, container);
    });
  }

  /** Tells those who watch of the pod itself, or of one container of it. */
  tell(type: ContainerEventType, sandbox: Sandbox, container?: Container): void {
    this.events.publish(type, container?.id ?? sandbox.id, sandbox, this.containersOf(sandbox));
  }

  /** Starts nothing more, and leaves everything to the next runtime. */
  async leave(): Promise<void> {
    await this.#stopMaking();
    await Promise.all(this.containers.values().map((container) => container.leave()));
    for (const { pod } of this.sandboxes.values()) await pod?.leave();
    await this.isolation?.close({ keepPods: true });
  }

  /**
   * Starts nothing more, ends every container and forgets everything.
   *
   * @throws the first of what went wrong, when all that could be taken down has been
   */
  async close(): Promise<void> {
    await this.#stopMaking();
    for (const sandbox of this.sandboxes.values()) sandbox.stop();
    const removals = this.containers.values().map((container) => this.removeContainer(container));
    const ends = await Promise.allSettled(removals);
    const closePod = async (sandbox: Sandbox): Promise<void> => {
      sandbox.forget();
      await sandbox.pod?.close();
      this.sandboxes.delete(sandbox);
    };
    ends.push(...(await Promise.allSettled(this.sandboxes.values().map(closePod))));
    const failure = ends.find((end) => end.status === 'rejected');
    await this.isolation?.close({ keepPods: failure !== undefined });
    if (failure !== undefined) throw failure.reason;
  }

  async #stopMaking(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#makings);
  }
}
