import { mkdir, rm } from 'node:fs/promises';
import { toError } from '../common/errors.ts';
import { ContainerState, type CriClient } from '../cri/index.ts';
import type { Container, Pod } from '../kubeapi/index.ts';
import { containerConfig, type PodFolders, type SandboxConfig, sandboxConfig, volumePath } from './container-config.ts';
import { hasExited, type ObservedPod } from './pod-observer.ts';
import { RestartBackoff } from './restart-backoff.ts';

/** Seconds that a container gets between its stop signal and the kill, when its pod names none. */
export const DEFAULT_GRACE_SECONDS = 30;

/** Why a container is not running yet. */
export interface WaitingReason {
  readonly reason: string;
  readonly message?: string;
}

export interface SyncResult {
  /** Why containers are not running, by name. */
  readonly waiting: Map<string, WaitingReason>;
  /** Something was started: the runtime shows more now. */
  readonly acted: boolean;
}

/**
 * Brings pods into the runtime and out of it, one step at a time: each `sync` does what the last look asks for.
 *
 * Failures do not throw: they are the waiting reason of the container that they concern, and the next sync tries again.
 */
export class PodWorker {
  readonly #cri: CriClient;
  readonly #folders: PodFolders;
  readonly #backoff = new RestartBackoff();

  constructor(cri: CriClient, folders: PodFolders) {
    this.#cri = cri;
    this.#folders = folders;
  }

  async sync(pod: Pod, observed: ObservedPod | undefined): Promise<SyncResult> {
    const waiting = new Map<string, WaitingReason>();
    let acted = false;
    if (isOver(pod, observed)) return { waiting, acted };
    const attempt = observed === undefined ? 0 : (observed.sandbox.metadata?.attempt ?? 0) + (observed.ready ? 0 : 1);
    const config = sandboxConfig(pod, attempt, this.#folders);
    let sandboxId = observed?.sandbox.id ?? '';
    try {
      if (observed?.ready !== true) sandboxId = await this.#runSandbox(pod, config);
    } catch (thrown) {
      const reason = { reason: 'FailedCreatePodSandBox', message: toError(thrown).message };
      return { waiting: new Map(pod.spec.containers.map(({ name }) => [name, reason])), acted };
    }
    for (const container of pod.spec.containers) {
      const step = await this.#syncContainer(pod, container, observed, sandboxId, config);
      if (step === 'started') acted = true;
      else if (step !== undefined) waiting.set(container.name, step);
    }
    return { waiting, acted };
  }

  /** Stops and removes everything of the pod. @throws RuntimeCallError; calling again goes on where it failed */
  async remove(observed: ObservedPod, graceSeconds: number): Promise<void> {
    const stops = [...observed.containers.values()]
      .filter(({ state }) => state !== ContainerState.CONTAINER_EXITED)
      .map(({ id }) => this.#cri.runtime.stopContainer({ containerId: id, timeout: BigInt(graceSeconds) }));
    await Promise.all(stops);
    await this.#cri.runtime.stopPodSandbox({ podSandboxId: observed.sandbox.id });
    await this.#cri.runtime.removePodSandbox({ podSandboxId: observed.sandbox.id });
    await rm(`${this.#folders.volumes}/${observed.uid}`, { recursive: true, force: true });
    this.#backoff.forget(`${observed.uid}/`);
  }

  async #runSandbox(pod: Pod, config: SandboxConfig): Promise<string> {
    await mkdir(config.logDirectory ?? '', { recursive: true, mode: 0o755 });
    for (const volume of pod.spec.volumes ?? []) {
      if (volume.emptyDir !== undefined)
        await mkdir(volumePath(pod, volume, this.#folders), { recursive: true, mode: 0o777 });
    }
    return (await this.#cri.runtime.runPodSandbox({ config })).podSandboxId;
  }

  async #syncContainer(
    pod: Pod,
    container: Container,
    observed: ObservedPod | undefined,
    podSandboxId: string,
    sandbox: SandboxConfig,
  ): Promise<WaitingReason | 'started' | undefined> {
    const status = observed?.statuses.get(container.name);
    const attempt = status === undefined ? 0 : (status.metadata?.attempt ?? 0) + 1;
    if (status !== undefined) {
      if (!hasExited(status) && observed?.ready === true) return undefined;
      if (!restarts(pod, status.exitCode)) return undefined;
      const endedAt = Number(status.finishedAt / 1_000_000n);
      const ranMs = endedAt - Number(status.startedAt / 1_000_000n);
      const key = `${pod.metadata.uid}/${container.name}`;
      const remaining = this.#backoff.remainingMs(key, attempt - 1, { endedAt, ranMs }, Date.now());
      if (remaining > 0) {
        const message = `back-off ${Math.ceil(remaining / 1000)}s restarting failed container=${container.name} pod=${pod.metadata.name}`;
        return { reason: 'CrashLoopBackOff', message };
      }
    }
    return await this.#startContainer(pod, container, attempt, podSandboxId, sandbox);
  }

  async #startContainer(
    pod: Pod,
    container: Container,
    attempt: number,
    podSandboxId: string,
    sandboxConfig: SandboxConfig,
  ): Promise<WaitingReason | 'started'> {
    let step = 'ErrImagePull';
    try {
      await this.#ensureImage(container);
      step = 'CreateContainerError';
      const config = containerConfig(pod, container, attempt, this.#folders);
      await mkdir(`${sandboxConfig.logDirectory}/${container.name}`, { recursive: true, mode: 0o755 });
      const { containerId } = await this.#cri.runtime.createContainer({ podSandboxId, config, sandboxConfig });
      step = 'RunContainerError';
      await this.#cri.runtime.startContainer({ containerId });
      return 'started';
    } catch (thrown) {
      return { reason: step, message: toError(thrown).message };
    }
  }

  async #ensureImage(container: Container): Promise<void> {
    const image = { image: container.image ?? '' };
    const policy = container.imagePullPolicy ?? 'IfNotPresent';
    if (policy !== 'Always') {
      const { image: found } = await this.#cri.image.imageStatus({ image });
      if (found !== undefined) return;
      if (policy === 'Never')
        throw new Error(`Container image "${image.image}" is not present with pull policy of Never`);
    }
    await this.#cri.image.pullImage({ image });
  }
}

function restarts(pod: Pod, exitCode: number): boolean {
  const policy = pod.spec.restartPolicy ?? 'Always';
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

/** All containers ended and none is to run again. */
function isOver(pod: Pod, observed: ObservedPod | undefined): boolean {
  return pod.spec.containers.every(({ name }) => {
    const status = observed?.statuses.get(name);
    return status !== undefined && hasExited(status) && !restarts(pod, status.exitCode);
  });
}
