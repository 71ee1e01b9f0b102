import { ContainerEventType, grpcCodes, RuntimeCallError } from '../cri/index.ts';
import type { Container } from './container.ts';
import { ContainerEvents } from './container-events.ts';
import type { HostImage } from './host-image.ts';
import type { ImageStore } from './image/index.ts';
import type { Isolation } from './isolation/index.ts';
import { ObjectStore } from './object-store.ts';
import type { FifoPool } from './process/index.ts';
import type { Sandbox } from './sandbox.ts';

export interface RuntimeStateOptions {
  /** Where containers get their directories. */
  readonly containersDir: string;
  /** Mark of every process of this runtime; those of a container add `/` and its id. */
  readonly marker: string;
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
  readonly containersDir: string;
  readonly marker: string;
  readonly image: HostImage;
  readonly images: ImageStore;
  readonly pipes: FifoPool;
  readonly isolation: Isolation | undefined;
  readonly obstacle: string;
  #isClosed = false;

  constructor(options: RuntimeStateOptions) {
    this.containersDir = options.containersDir;
    this.marker = options.marker;
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

  /** Tells those who watch of the pod itself, or of one container of it. */
  tell(type: ContainerEventType, sandbox: Sandbox, container?: Container): void {
    this.events.publish(type, container?.id ?? sandbox.id, sandbox, this.containersOf(sandbox));
  }

  /** Starts nothing more, ends every container and forgets everything. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const sandbox of this.sandboxes.values()) sandbox.stop();
    await Promise.all(this.containers.values().map((container) => this.removeContainer(container)));
    for (const sandbox of this.sandboxes.values()) {
      await sandbox.pod?.close();
      this.sandboxes.delete(sandbox);
    }
    await this.isolation?.close();
  }
}
