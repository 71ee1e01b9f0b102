import { mkdir, rm } from 'node:fs/promises';
import { toError } from '../common/errors.ts';
import { ContainerState, type CriClient, type ContainerStatus as CriContainerStatus } from '../cri/index.ts';
import type { Container, Pod } from '../kubeapi/index.ts';
import {
  containerConfig,
  type PodFolders,
  podLogFolder,
  podVolumesFolder,
  type SandboxConfig,
  sandboxConfig,
  volumePath,
} from './container-config.ts';
import { hasExited, type ObservedPod } from './pod-observer.ts';
import { removeSuperseded } from './pod-remains.ts';
import { RestartBackoff } from './restart-backoff.ts';
import { StartBackoff } from './start-backoff.ts';

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
  /** Something was started or stopped: the runtime shows another picture now. */
  readonly acted: boolean;
}

/** What one sync works on. */
interface PodStep {
  readonly pod: Pod;
  readonly observed: ObservedPod | undefined;
  readonly podSandboxId: string;
  readonly sandbox: SandboxConfig;
  readonly signal: AbortSignal | undefined;
}

/**
 * Brings pods into the runtime and out of it, one step at a time: each `sync` does what the last look asks for.
 *
 * Failures do not throw: they are the waiting reason of the container that they concern, and a later sync tries again.
 */
export class PodWorker {
  readonly #cri: CriClient;
  readonly #folders: PodFolders;
  readonly #restarts = new RestartBackoff();
  readonly #starts = new StartBackoff<WaitingReason>();

  constructor(cri: CriClient, folders: PodFolders) {
    this.#cri = cri;
    this.#folders = folders;
  }

  /** @param signal the pod is to go or the kubelet stops: no more is started, and a pull ends */
  async sync(pod: Pod, observed: ObservedPod | undefined, signal?: AbortSignal): Promise<SyncResult> {
    const waiting = new Map<string, WaitingReason>();
    if (isOver(pod, observed)) return { waiting, acted: false };
    const key = `${pod.metadata.uid}/`;
    try {
      if (observed?.ready === false) {
        if (await this.#endSandbox(pod, observed)) return { waiting, acted: true };
        // What ran once in a pod that never restarts does not run again in another sandbox.
        if (pod.spec.restartPolicy === 'Never' && observed.statuses.size > 0) return { waiting, acted: false };
      }
      const late = this.#starts.waiting(key, Date.now());
      if (late !== undefined) return { waiting: forAll(pod, late), acted: false };
      const attempt = observed === undefined ? 0 : (observed.sandbox.metadata?.attempt ?? 0) + (observed.ready ? 0 : 1);
      const sandbox = sandboxConfig(pod, attempt, this.#folders);
      const podSandboxId = observed?.ready === true ? observed.sandbox.id : await this.#runSandbox(pod, sandbox);
      this.#starts.succeeded(key);
      return await this.#syncContainers({ pod, observed, podSandboxId, sandbox, signal });
    } catch (thrown) {
      const reason = { reason: 'FailedCreatePodSandBox', message: toError(thrown).message };
      this.#starts.failed(key, reason, Date.now());
      return { waiting: forAll(pod, reason), acted: false };
    }
  }

  /** Removes what earlier attempts of a running pod have left. @throws RuntimeCallError; calling again goes on */
  async tidy({ metadata }: Pod, observed: ObservedPod): Promise<void> {
    const { name, namespace = 'default', uid = '' } = metadata;
    await removeSuperseded(this.#cri, observed, podLogFolder(this.#folders, { namespace, name, uid }));
  }

  /**
   * Stops and removes everything of the pod, its volumes and logs.
   *
   * @param signal the kubelet stops: a later one goes on
   * @throws RuntimeCallError; calling again goes on where it failed
   */
  async remove(observed: ObservedPod, graceSeconds: number, signal?: AbortSignal): Promise<void> {
    const options = signal === undefined ? {} : { signal };
    const { namespace, name, uid, sandbox, olderSandboxes, containers, olderContainers } = observed;
    const stops = [...containers.values(), ...olderContainers]
      .filter(({ state }) => state !== ContainerState.CONTAINER_EXITED)
      .map(({ id }) => this.#cri.runtime.stopContainer({ containerId: id, timeout: BigInt(graceSeconds) }, options));
    await Promise.all(stops);
    for (const { id } of [...olderSandboxes, sandbox]) {
      await this.#cri.runtime.stopPodSandbox({ podSandboxId: id }, options);
      await this.#cri.runtime.removePodSandbox({ podSandboxId: id }, options);
    }
    this.forget(uid);
    await rm(podVolumesFolder(this.#folders, uid), { recursive: true, force: true });
    await rm(podLogFolder(this.#folders, { namespace, name, uid }), { recursive: true, force: true });
  }

  /** The pod is gone: so is what was remembered of its failures. */
  forget(uid: string): void {
    this.#restarts.forget(`${uid}/`);
    this.#starts.forget(`${uid}/`);
  }

  /**
   * Ends what is left of a sandbox that died: its containers may have outlived it.
   *
   * @returns whether containers were ended: how is known at the next look
   */
  async #endSandbox(pod: Pod, { sandbox, containers }: ObservedPod): Promise<boolean> {
    const grace = BigInt(pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS);
    const alive = [...containers.values()].filter(
      ({ state }) => state === ContainerState.CONTAINER_RUNNING || state === ContainerState.CONTAINER_UNKNOWN,
    );
    await Promise.all(
      alive.map(({ id }) => this.#cri.runtime.stopContainer({ containerId: id, timeout: grace }).then(() => {})),
    );
    await this.#cri.runtime.stopPodSandbox({ podSandboxId: sandbox.id });
    return alive.length > 0;
  }

  async #runSandbox(pod: Pod, config: SandboxConfig): Promise<string> {
    await mkdir(config.logDirectory ?? '', { recursive: true, mode: 0o755 });
    for (const volume of pod.spec.volumes ?? []) {
      if (volume.emptyDir !== undefined)
        await mkdir(volumePath(pod, volume, this.#folders), { recursive: true, mode: 0o777 });
    }
    return (await this.#cri.runtime.runPodSandbox({ config })).podSandboxId;
  }

  async #syncContainers(step: PodStep): Promise<SyncResult> {
    const waiting = new Map<string, WaitingReason>();
    let acted = step.observed?.ready !== true;
    for (const container of step.pod.spec.containers) {
      if (step.signal?.aborted === true) break;
      const result = await this.#syncContainer(step, container);
      if (result === 'acted') acted = true;
      else if (result !== undefined) waiting.set(container.name, result);
    }
    return { waiting, acted };
  }

  async #syncContainer(step: PodStep, container: Container): Promise<WaitingReason | 'acted' | undefined> {
    const { pod, observed } = step;
    const status = observed?.statuses.get(container.name);
    if (status === undefined) return this.#startContainer(step, container, 0);
    const attempt = (status.metadata?.attempt ?? 0) + 1;
    if (status.state === ContainerState.CONTAINER_RUNNING) return undefined;
    if (!hasExited(status)) {
      // Made but never started, by a kubelet that stopped in between, or of unknown state: as upstream, a new one.
      return this.#startContainer(step, container, attempt, status.id);
    }
    if (!restarts(pod, status.exitCode)) return undefined;
    const message = this.#restartWait(pod, container, status);
    if (message !== undefined) return { reason: 'CrashLoopBackOff', message };
    return this.#startContainer(step, container, attempt);
  }

  /** Undefined when a container that has ended may start again. */
  #restartWait(pod: Pod, { name }: Container, status: CriContainerStatus): string | undefined {
    const endedAt = Number(status.finishedAt / 1_000_000n);
    const ranMs = endedAt - Number(status.startedAt / 1_000_000n);
    const key = `${pod.metadata.uid}/${name}`;
    const attempt = status.metadata?.attempt ?? 0;
    const remaining = this.#restarts.remainingMs(key, attempt, { endedAt, ranMs }, Date.now());
    if (remaining <= 0) return undefined;
    return `back-off ${Math.ceil(remaining / 1000)}s restarting failed container=${name} pod=${pod.metadata.name}`;
  }

  /** @param replaced id of an attempt that is in the way */
  async #startContainer(
    step: PodStep,
    container: Container,
    attempt: number,
    replaced?: string,
  ): Promise<WaitingReason | 'acted'> {
    const { pod, podSandboxId, sandbox, signal } = step;
    const key = `${pod.metadata.uid}/${container.name}`;
    const late = this.#starts.waiting(key, Date.now());
    if (late !== undefined) return late.reason === 'ErrImagePull' ? { ...late, reason: 'ImagePullBackOff' } : late;
    let failing = 'ErrImagePull';
    try {
      await this.#ensureImage(container, signal);
      failing = 'CreateContainerError';
      if (replaced !== undefined) await this.#cri.runtime.removeContainer({ containerId: replaced });
      const config = containerConfig(pod, container, attempt, this.#folders);
      await mkdir(`${sandbox.logDirectory}/${container.name}`, { recursive: true, mode: 0o755 });
      const request = { podSandboxId, config, sandboxConfig: sandbox };
      const { containerId } = await this.#cri.runtime.createContainer(request);
      failing = 'RunContainerError';
      await this.#cri.runtime.startContainer({ containerId });
      this.#starts.succeeded(key);
      return 'acted';
    } catch (thrown) {
      const reason = { reason: failing, message: toError(thrown).message };
      this.#starts.failed(key, reason, Date.now());
      return reason;
    }
  }

  async #ensureImage(container: Container, signal: AbortSignal | undefined): Promise<void> {
    const image = { image: container.image ?? '' };
    const policy = container.imagePullPolicy ?? 'IfNotPresent';
    if (policy !== 'Always') {
      const { image: found } = await this.#cri.image.imageStatus({ image });
      if (found !== undefined) return;
      if (policy === 'Never')
        throw new Error(`Container image "${image.image}" is not present with pull policy of Never`);
    }
    await this.#cri.image.pullImage({ image }, signal === undefined ? {} : { signal });
  }
}

function forAll(pod: Pod, reason: WaitingReason): Map<string, WaitingReason> {
  return new Map(pod.spec.containers.map(({ name }) => [name, reason]));
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
