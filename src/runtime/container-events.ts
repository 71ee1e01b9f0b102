import { ExecPathError } from '../common/errors.ts';
import type { ContainerEventType } from '../cri/index.ts';
import type { Container } from './container.ts';
import { containerStatus } from './container-status.ts';
import { nowNs } from './ending.ts';
import type { Sandbox } from './sandbox.ts';
import { sandboxStatus } from './sandbox-status.ts';

/** Events that wait for one slow watcher; its stream ends beyond it, and it has to list again. */
const MAX_WAITING = 1000;

/** One event, with what the pod and its containers were like when it came. */
export interface ContainerEvent {
  /** Of the container; of the pod when its own life is meant. */
  readonly containerId: string;
  readonly containerEventType: ContainerEventType;
  readonly createdAt: bigint;
  readonly podSandboxStatus: ReturnType<typeof sandboxStatus>;
  readonly containersStatuses: ReturnType<typeof containerStatus>['status'][];
}

class Watcher {
  readonly waiting: ContainerEvent[] = [];
  wake = (): void => {};
}

/** Tells everyone who watches what begins and ends in the runtime. @see cri.md 4.3, GetContainerEvents */
export class ContainerEvents {
  readonly #watchers = new Set<Watcher>();

  publish(
    containerEventType: ContainerEventType,
    containerId: string,
    sandbox: Sandbox,
    containers: readonly Container[],
  ): void {
    if (this.#watchers.size === 0) return;
    const containersStatuses = containers.map((container) => containerStatus(container, false).status);
    const podSandboxStatus = sandboxStatus(sandbox);
    const event = { containerId, containerEventType, createdAt: nowNs(), podSandboxStatus, containersStatuses };
    for (const watcher of this.#watchers) {
      // One more than may wait: its stream then ends.
      if (watcher.waiting.length <= MAX_WAITING) watcher.waiting.push(event);
      watcher.wake();
    }
  }

  /**
   * From now on, until `signal` fires.
   *
   * @throws ExecPathError ERR_TOO_MANY_REQUESTS from the iteration when 1000 events wait
   */
  async *watch(signal: AbortSignal): AsyncGenerator<ContainerEvent, void, undefined> {
    const watcher = new Watcher();
    const onAbort = (): void => watcher.wake();
    this.#watchers.add(watcher);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        if (watcher.waiting.length > MAX_WAITING) {
          throw new ExecPathError('ERR_TOO_MANY_REQUESTS', `more than ${MAX_WAITING} events wait for their watcher`);
        }
        const event = watcher.waiting.shift();
        if (event !== undefined) yield event;
        else {
          await new Promise<void>((resolve) => {
            watcher.wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#watchers.delete(watcher);
    }
  }
}
